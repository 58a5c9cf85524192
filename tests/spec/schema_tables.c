/* SPDX-License-Identifier: Apache-2.0 */
/* schema_tables.c - the documents of the format, from the leaves up. */
#include "tests/spec/schema_tables.h"

#include <string.h>

#include "tests/spec/value.h"

#define TABLE(...) ((const field_t[]){__VA_ARGS__, {0}})
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_FIELDS ((const field_t[]){{0}})

#define REQUIRED .required = true
#define UTF8(...) {.is = IS_UTF8, .name = __VA_ARGS__}
#define BOOL(n) {.is = IS_BOOL, .name = n}
#define INTEGER(n) {.is = IS_INTEGER, .name = n}
#define DOCUMENT(...) {.is = IS_DOCUMENT, .name = __VA_ARGS__}
#define ENUM(n, ...) {.is = IS_ENUM, .name = n, .words = __VA_ARGS__}
#define SHAPE(n, ...) {.is = IS_SHAPE, .name = n, .shape = &__VA_ARGS__}
#define VERSION(...) {.is = IS_VERSION, .name = __VA_ARGS__}
#define ANYTHING(n) {.is = IS_ANYTHING, .name = n}

/* ---- requirements ---------------------------------------------------- */

static const shape_t csfle = {
    .fields = TABLE(VERSION("minLibmongocryptVersion")), .least = 1};

static const shape_t requirement = {
    .fields = TABLE(
        VERSION("minServerVersion"), VERSION("maxServerVersion"),
        ENUM("topologies",
             WORDS("single", "replicaset", "sharded", "sharded-replicaset",
                   "load-balanced"),
             .many = SOME),
        ENUM("serverless", WORDS("require", "forbid", "allow")),
        DOCUMENT("serverParameters"), BOOL("auth"), UTF8("authMechanism"),
        {.name = "csfle", .is = IS_BOOL_OR_SHAPE, .shape = &csfle}),
    .least = 1};

/* ---- entities -------------------------------------------------------- */

static const char *const observable[] = {
    "commandStartedEvent", "commandSucceededEvent", "commandFailedEvent",
    "poolCreatedEvent", "poolReadyEvent", "poolClearedEvent",
    "poolClosedEvent", "connectionCreatedEvent", "connectionReadyEvent",
    "connectionClosedEvent", "connectionCheckOutStartedEvent",
    "connectionCheckOutFailedEvent", "connectionCheckedOutEvent",
    "connectionCheckedInEvent", "serverDescriptionChangedEvent",
    "serverHeartbeatStartedEvent", "serverHeartbeatSucceededEvent",
    "serverHeartbeatFailedEvent", "topologyDescriptionChangedEvent",
    "topologyOpeningEvent", "topologyClosedEvent", NULL};

static const char *const storable[] = {
    "PoolCreatedEvent", "PoolReadyEvent", "PoolClearedEvent",
    "PoolClosedEvent", "ConnectionCreatedEvent", "ConnectionReadyEvent",
    "ConnectionClosedEvent", "ConnectionCheckOutStartedEvent",
    "ConnectionCheckOutFailedEvent", "ConnectionCheckedOutEvent",
    "ConnectionCheckedInEvent", "CommandStartedEvent",
    "CommandSucceededEvent", "CommandFailedEvent",
    "ServerDescriptionChangedEvent", "TopologyDescriptionChangedEvent", NULL};

static const char *const severities[] = {
    "emergency", "alert", "critical", "error", "warning",
    "notice", "info", "debug", "trace", NULL};

static const char *const components[] = {"command", "topology",
                                         "serverSelection", "connection",
                                         NULL};

static const shape_t stored_events = {
    .fields = TABLE(UTF8("id", REQUIRED),
                    ENUM("events", storable, .many = SOME, REQUIRED))};

static const shape_t observed_logs = {
    .fields = TABLE(ENUM("command", severities), ENUM("topology", severities),
                    ENUM("serverSelection", severities),
                    ENUM("connection", severities)),
    .least = 1};

static const shape_t observed_traces = {
    .fields = TABLE(BOOL("enableCommandPayload"))};

static const shape_t server_api = {
    .fields = TABLE(UTF8("version", REQUIRED), BOOL("strict"),
                    BOOL("deprecationErrors"))};

static const shape_t placeholder = {
    .fields = TABLE({.name = "$$placeholder", REQUIRED})};

#define SECRET(n)                                                              \
    {.name = n, .is = IS_WORD_OR_PLACEHOLDER, .shape = &placeholder}

static const char *either_token(const bson_t *document)
{
    if (value_has(document, "accessToken") &&
        bson_count_keys(document) > 1)
        return "has a token and more";
    return NULL;
}

static const shape_t aws = {
    .fields = TABLE(SECRET("accessKeyId"), SECRET("secretAccessKey"),
                    SECRET("sessionToken"))};
static const shape_t azure = {
    .fields = TABLE(SECRET("tenantId"), SECRET("clientId"),
                    SECRET("clientSecret"), SECRET("identityPlatformEndpoint"),
                    SECRET("accessToken")),
    .also = either_token};
static const shape_t gcp = {
    .fields = TABLE(SECRET("email"), SECRET("privateKey"), SECRET("endpoint"),
                    SECRET("accessToken")),
    .also = either_token};
static const shape_t kmip = {.fields = TABLE(SECRET("endpoint"))};
static const shape_t local = {.fields = TABLE(SECRET("key"))};

static const shape_t kms_providers = {
    .fields = TABLE(SHAPE("aws", aws), SHAPE("azure", azure),
                    SHAPE("gcp", gcp), SHAPE("kmip", kmip),
                    SHAPE("local", local)),
    .named = true};

static const char *documents_only(const bson_t *document, const char *key)
{
    bson_t view;
    bson_iter_t at;

    if (!value_view(document, key, &view))
        return NULL;
    bson_iter_init(&at, &view);
    while (bson_iter_next(&at))
        if (!BSON_ITER_HOLDS_DOCUMENT(&at))
            return "has a map of what are no documents";
    return NULL;
}

static const char *maps_of_documents(const bson_t *document)
{
    const char *why = documents_only(document, "schemaMap");

    return why != NULL ? why : documents_only(document, "encryptedFieldsMap");
}

static const shape_t auto_encryption = {
    .fields = TABLE(UTF8("keyVaultNamespace", REQUIRED),
                    SHAPE("kmsProviders", kms_providers, REQUIRED),
                    BOOL("bypassAutoEncryption"), BOOL("bypassQueryAnalysis"),
                    DOCUMENT("schemaMap"), DOCUMENT("extraOptions"),
                    DOCUMENT("encryptedFieldsMap"),
                    INTEGER("keyExpirationMS")),
    .also = maps_of_documents};

static const shape_t client = {
    .fields = TABLE(UTF8("id", REQUIRED), DOCUMENT("uriOptions"),
                    BOOL("useMultipleMongoses"),
                    ENUM("observeEvents", observable, .many = SOME),
                    UTF8("ignoreCommandMonitoringEvents", .many = SOME),
                    SHAPE("storeEventsAsEntities", stored_events,
                          .many = SOME),
                    SHAPE("observeLogMessages", observed_logs),
                    SHAPE("observeTracingMessages", observed_traces),
                    SHAPE("serverApi", server_api),
                    BOOL("observeSensitiveCommands"),
                    SHAPE("autoEncryptOpts", auto_encryption),
                    INTEGER("awaitMinPoolSizeMS"))};

static const shape_t encryption_options = {
    .fields = TABLE(UTF8("keyVaultClient", REQUIRED),
                    UTF8("keyVaultNamespace", REQUIRED),
                    SHAPE("kmsProviders", kms_providers, REQUIRED),
                    INTEGER("keyExpirationMS"))};

static const shape_t client_encryption = {
    .fields = TABLE(UTF8("id", REQUIRED),
                    SHAPE("clientEncryptionOpts", encryption_options,
                          REQUIRED))};

static const shape_t handle_options = {
    .fields = TABLE(DOCUMENT("readConcern"), DOCUMENT("readPreference"),
                    DOCUMENT("writeConcern"), INTEGER("timeoutMS"))};

static const shape_t database = {
    .fields = TABLE(UTF8("id", REQUIRED), UTF8("client", REQUIRED),
                    UTF8("databaseName", REQUIRED),
                    SHAPE("databaseOptions", handle_options))};

static const shape_t collection = {
    .fields = TABLE(UTF8("id", REQUIRED), UTF8("database", REQUIRED),
                    UTF8("collectionName", REQUIRED),
                    SHAPE("collectionOptions", handle_options))};

static const shape_t session = {
    .fields = TABLE(UTF8("id", REQUIRED), UTF8("client", REQUIRED),
                    DOCUMENT("sessionOptions"))};

static const shape_t bucket = {
    .fields = TABLE(UTF8("id", REQUIRED), UTF8("database", REQUIRED),
                    DOCUMENT("bucketOptions"))};

static const shape_t thread = {.fields = TABLE(UTF8("id", REQUIRED))};

static const shape_t entity = {
    .fields = TABLE(SHAPE("client", client),
                    SHAPE("clientEncryption", client_encryption),
                    SHAPE("database", database),
                    SHAPE("collection", collection),
                    SHAPE("session", session), SHAPE("bucket", bucket),
                    SHAPE("thread", thread)),
    .least = 1,
    .most = 1};

/* ---- data, operations ------------------------------------------------ */

static const char *no_write_concern(const bson_t *document)
{
    bson_t options;

    value_view(document, "createOptions", &options);
    return value_has(&options, "writeConcern")
               ? "has a write concern, which is the runner's"
               : NULL;
}

static const shape_t collection_data = {
    .fields = TABLE(UTF8("databaseName", REQUIRED),
                    UTF8("collectionName", REQUIRED),
                    DOCUMENT("createOptions"),
                    DOCUMENT("documents", .many = ANY, REQUIRED)),
    .also = no_write_concern};

static const shape_t expected_error = {
    .fields = TABLE({.name = "isError", .is = IS_TRUE}, BOOL("isClientError"),
                    BOOL("isTimeoutError"), UTF8("errorContains"),
                    INTEGER("errorCode"), UTF8("errorCodeName"),
                    UTF8("errorLabelsContain", .many = SOME),
                    UTF8("errorLabelsOmit", .many = SOME),
                    DOCUMENT("writeErrors"),
                    DOCUMENT("writeConcernErrors", .many = ANY),
                    DOCUMENT("errorResponse"), ANYTHING("expectResult")),
    .least = 1};

static const char *no_conflict(const bson_t *document)
{
    bool error = value_has(document, "expectError");
    bool result = value_has(document, "expectResult");
    bool save = value_has(document, "saveResultAsEntity");
    bool ignore = value_has(document, "ignoreResultAndError");

    if (error && result)
        return "expects an error and a result";
    if (error && save)
        return "expects an error and saves the result";
    if (ignore && (error || result || save))
        return "ignores what it expects or saves";
    return NULL;
}

static const shape_t operation = {
    .fields = TABLE(UTF8("name", REQUIRED), UTF8("object", REQUIRED),
                    DOCUMENT("arguments"), BOOL("ignoreResultAndError"),
                    SHAPE("expectError", expected_error),
                    ANYTHING("expectResult"), UTF8("saveResultAsEntity")),
    .also = no_conflict};

/* ---- expected events ------------------------------------------------- */

#define SERVICE BOOL("hasServiceId"), BOOL("hasServerConnectionId")

static const shape_t started = {
    .fields = TABLE(DOCUMENT("command"), UTF8("commandName"),
                    UTF8("databaseName"), SERVICE)};
static const shape_t succeeded = {
    .fields = TABLE(DOCUMENT("reply"), UTF8("commandName"),
                    UTF8("databaseName"), SERVICE)};
static const shape_t failed = {
    .fields = TABLE(UTF8("commandName"), UTF8("databaseName"), SERVICE)};
static const shape_t bare = {.fields = NO_FIELDS};
static const shape_t with_reason = {.fields = TABLE(UTF8("reason"))};
static const shape_t cleared = {
    .fields = TABLE(BOOL("hasServiceId"), BOOL("interruptInUseConnections"))};
static const shape_t beat = {.fields = TABLE(BOOL("awaited"))};

static const shape_t server_is = {
    .fields = TABLE(
        ENUM("type", WORDS("Standalone", "Mongos", "PossiblePrimary",
                           "RSPrimary", "RSSecondary", "RSOther", "RSArbiter",
                           "RSGhost", "LoadBalancer", "Unknown")))};
static const shape_t topology_is = {
    .fields = TABLE(ENUM("type", WORDS("Single", "Unknown",
                                       "ReplicaSetNoPrimary",
                                       "ReplicaSetWithPrimary", "Sharded",
                                       "LoadBalanced")))};
static const shape_t server_changed = {
    .fields = TABLE(SHAPE("previousDescription", server_is),
                    SHAPE("newDescription", server_is))};
static const shape_t topology_changed = {
    .fields = TABLE(SHAPE("previousDescription", topology_is),
                    SHAPE("newDescription", topology_is))};

static const char *const command_events[] = {
    "commandStartedEvent", "commandSucceededEvent", "commandFailedEvent",
    NULL};
static const char *const sdam_events[] = {
    "serverDescriptionChangedEvent", "topologyDescriptionChangedEvent",
    "serverHeartbeatStartedEvent", "serverHeartbeatSucceededEvent",
    "serverHeartbeatFailedEvent", "topologyOpeningEvent",
    "topologyClosedEvent", NULL};

static const shape_t event = {
    .fields = TABLE(SHAPE("commandStartedEvent", started),
                    SHAPE("commandSucceededEvent", succeeded),
                    SHAPE("commandFailedEvent", failed),
                    SHAPE("poolCreatedEvent", bare),
                    SHAPE("poolReadyEvent", bare),
                    SHAPE("poolClearedEvent", cleared),
                    SHAPE("poolClosedEvent", bare),
                    SHAPE("connectionCreatedEvent", bare),
                    SHAPE("connectionReadyEvent", bare),
                    SHAPE("connectionClosedEvent", with_reason),
                    SHAPE("connectionCheckOutStartedEvent", bare),
                    SHAPE("connectionCheckOutFailedEvent", with_reason),
                    SHAPE("connectionCheckedOutEvent", bare),
                    SHAPE("connectionCheckedInEvent", bare),
                    SHAPE("serverDescriptionChangedEvent", server_changed),
                    SHAPE("topologyDescriptionChangedEvent",
                          topology_changed),
                    SHAPE("serverHeartbeatStartedEvent", beat),
                    SHAPE("serverHeartbeatSucceededEvent", beat),
                    SHAPE("serverHeartbeatFailedEvent", beat),
                    SHAPE("topologyOpeningEvent", bare),
                    SHAPE("topologyClosedEvent", bare)),
    .least = 1,
    .most = 1};

static bool among(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static const char *kind_of_event(const bson_iter_t *at)
{
    bson_iter_t inner;

    if (!bson_iter_recurse(at, &inner) || !bson_iter_next(&inner))
        return "command";
    if (among(bson_iter_key(&inner), command_events))
        return "command";
    return among(bson_iter_key(&inner), sdam_events) ? "sdam" : "cmap";
}

static const char *events_of_one_kind(const bson_t *document)
{
    const char *kind = value_utf8(document, "eventType", "command");
    bson_t events;
    bson_iter_t at;

    value_view(document, "events", &events);
    bson_iter_init(&at, &events);
    while (bson_iter_next(&at))
        if (strcmp(kind_of_event(&at), kind) != 0)
            return "has an event that is not of its eventType";
    return NULL;
}

static const shape_t expected_events = {
    .fields = TABLE(UTF8("client", REQUIRED),
                    ENUM("eventType", WORDS("command", "cmap", "sdam")),
                    SHAPE("events", event, .many = ANY, REQUIRED),
                    BOOL("ignoreExtraEvents")),
    .also = events_of_one_kind};

static const shape_t message = {
    .fields = TABLE(ENUM("level", severities, REQUIRED),
                    ENUM("component", components, REQUIRED),
                    DOCUMENT("data", REQUIRED), BOOL("failureIsRedacted"))};

static const shape_t expected_messages = {
    .fields = TABLE(UTF8("client", REQUIRED),
                    SHAPE("messages", message, .many = ANY, REQUIRED),
                    SHAPE("ignoreMessages", message, .many = ANY),
                    BOOL("ignoreExtraMessages"))};

static const shape_t span;
static const field_t span_fields[] = {
    UTF8("name", REQUIRED), DOCUMENT("attributes", REQUIRED),
    SHAPE("nested", span, .many = SOME), {0}};
static const shape_t span = {.fields = span_fields};

static const shape_t expected_spans = {
    .fields = TABLE(UTF8("client", REQUIRED), BOOL("ignoreExtraSpans"),
                    SHAPE("spans", span, .many = SOME, REQUIRED))};

/* ---- the whole ------------------------------------------------------- */

static const shape_t test = {
    .fields = TABLE(UTF8("description", REQUIRED),
                    SHAPE("runOnRequirements", requirement, .many = SOME),
                    UTF8("skipReason"),
                    SHAPE("operations", operation, .many = ANY, REQUIRED),
                    SHAPE("expectEvents", expected_events, .many = SOME),
                    SHAPE("expectLogMessages", expected_messages,
                          .many = SOME),
                    SHAPE("expectTracingMessages", expected_spans,
                          .many = SOME),
                    SHAPE("outcome", collection_data, .many = SOME))};

static const shape_t file = {
    .fields = TABLE(UTF8("description", REQUIRED),
                    VERSION("schemaVersion", REQUIRED),
                    SHAPE("runOnRequirements", requirement, .many = SOME),
                    SHAPE("createEntities", entity, .many = SOME),
                    SHAPE("initialData", collection_data, .many = SOME),
                    SHAPE("tests", test, .many = SOME, REQUIRED),
                    DOCUMENT("_yamlAnchors"))};

const shape_t *schema_file(void)
{
    return &file;
}
