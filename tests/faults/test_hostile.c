/* SPDX-License-Identifier: Apache-2.0 */
/* test_hostile.c - bad replies on their real way: server, socket, transport,
 * guard, driver, worker, future.
 *
 *   21 kinds x find_one, insert_one, a cursor's getMore, a command
 *
 * Nobody dies, nobody gets a wrong answer, each error says which, and after it
 * the client works.  Each of the four has a client of its own: a connection
 * that breaks holds up all operations of a client until the driver has looked
 * at the server again. */
#include "tests/faults/rows.h"

/* ---- the kinds ---------------------------------------------------------- */

enum kind {
    RIGHT,
    RESET_AMID,
    CLOSED_AMID,
    CLOSED_WITHOUT,
    GARBAGE,
    HUGE_LENGTH,
    NO_LENGTH,
    RANDOM_BODY,
    OP_REPLY_FOR_MSG,
    NO_SECTION,
    LONG_DOCUMENT,
    COMPRESSED_LIE,
    UNKNOWN_OPCODE,
    OP_QUERY_FOR_MSG,
    FOR_ANOTHER,
    TWO_REPLIES,
    LONG_STRING,
    MORE_TO_COME,
    LARGE_THEN_SILENCE,
    FOUR_BYTES_THEN_SILENCE,
    DRIPS,
    N_KINDS
};

/* What is in the error; NULL: the right answer comes; `silent`: nothing does,
 * and the operation expires. */
static const char silent[] = "silent";

static const struct {
    const char *name, *why;
} kinds[N_KINDS] = {
    [RIGHT] = {"right", NULL},
    [RESET_AMID] = {"reset amid the reply", "the connection was reset"},
    [CLOSED_AMID] = {"closed amid the reply",
                     "the server closed the connection"},
    [CLOSED_WITHOUT] = {"closed without one",
                        "the server closed the connection"},
    [GARBAGE] = {"garbage", "the reply is longer than a message may be"},
    [HUGE_LENGTH] = {"a huge length",
                     "the reply is longer than a message may be"},
    [NO_LENGTH] = {"no length", "the reply is shorter than its header"},
    [RANDOM_BODY] = {"a random body",
                     "the reply has a flag that is not known and must be"},
    [OP_REPLY_FOR_MSG] = {"an OP_REPLY for an OP_MSG",
                          "the reply is of the wrong kind for its request"},
    [NO_SECTION] = {"no section", "the reply has no section"},
    [LONG_DOCUMENT] = {"a document longer than its message",
                       "the reply is corrupt BSON"},
    [COMPRESSED_LIE] = {"compressed, of a size that lies",
                        "the reply does not unpack to the size it says"},
    [UNKNOWN_OPCODE] = {"an unknown opcode",
                        "the reply is of the wrong kind for its request"},
    [OP_QUERY_FOR_MSG] = {"an OP_QUERY",
                          "the reply is of the wrong kind for its request"},
    [FOR_ANOTHER] = {"for another request", "the reply is for another request"},
    [TWO_REPLIES] = {"two to one request", NULL},
    [LONG_STRING] = {"a string longer than its document",
                     "the reply is corrupt BSON"},
    [MORE_TO_COME] = {"more is to come",
                      "the reply says that more is to come, unasked"},
    [LARGE_THEN_SILENCE] = {"a large length, then silence", silent},
    [FOUR_BYTES_THEN_SILENCE] = {"four bytes, then silence", silent},
    [DRIPS] = {"a byte at a time", NULL},
};

/* ---- on the server ------------------------------------------------------ */

enum { LENGTH = 0, RESPONSE_TO = 8, OPCODE = 12, FLAGS = 16, BODY = 21 };

static void keep_header(wire_buffer_t *b, const void *rest, size_t n)
{
    wire_buffer_resize(b, 16);
    wire_buffer_append(b, rest, n);
    wire_buffer_set_int32(b, LENGTH, (int32_t)wire_buffer_size(b));
}

/* {a: "x" of 255 bytes, ok: 1} */
static void put_long_string(wire_buffer_t *b)
{
    static const char bytes[] = "\0\0\0\0" "\0" "\x1a\0\0\0"
                                "\x02" "a\0" "\xff\0\0\0" "x\0"
                                "\x01" "ok\0" "\0\0\0\0\0\0\xf0\x3f";

    keep_header(b, bytes, sizeof bytes);
}

/* OP_REPLY: flags, cursor, start, 1 document. */
static void put_op_reply(wire_buffer_t *b)
{
    static const char bytes[] = "\x08\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0"
                                "\1\0\0\0" "\x11\0\0\0"
                                "\x01" "ok\0" "\0\0\0\0\0\0\xf0\x3f";

    keep_header(b, bytes, sizeof bytes);
    wire_buffer_set_int32(b, OPCODE, 1);
}

/* zlib, of 1000 bytes; what follows is an empty stream. */
static void put_compressed(wire_buffer_t *b)
{
    static const char bytes[] = "\xdd\x07\0\0" "\xe8\x03\0\0" "\2"
                                "\x78\x9c\x03\0\0\0\0\1";

    keep_header(b, bytes, sizeof bytes - 1);
    wire_buffer_set_int32(b, OPCODE, 2012);
}

/* The same again: the next operation asks for another document. */
static void put_second(wire_buffer_t *b)
{
    size_t n = wire_buffer_size(b);
    uint8_t *copy = malloc(n);

    memcpy(copy, wire_buffer_data(b), n);
    wire_buffer_append(b, copy, n);
    free(copy);
}

static void worsen(const wire_command_t *command, wire_buffer_t *b, void *arg)
{
    (void)command;
    switch (*(const enum kind *)arg) {
    case HUGE_LENGTH:
        wire_buffer_set_int32(b, LENGTH, 0x7fffffff);
        break;
    case NO_LENGTH:
        wire_buffer_set_int32(b, LENGTH, 0);
        break;
    case RANDOM_BODY:
        keep_header(b, "\x9c\x27\xe0\x11 a random body \xff\xff", 22);
        break;
    case OP_REPLY_FOR_MSG:
        put_op_reply(b);
        break;
    case NO_SECTION:
        keep_header(b, "\0\0\0\0", 4);
        break;
    case LONG_DOCUMENT:
        wire_buffer_set_int32(b, BODY, 4096);
        break;
    case COMPRESSED_LIE:
        put_compressed(b);
        break;
    case UNKNOWN_OPCODE:
        wire_buffer_set_int32(b, OPCODE, 9999);
        break;
    case OP_QUERY_FOR_MSG:
        wire_buffer_set_int32(b, OPCODE, 2004);
        break;
    case FOR_ANOTHER:
        wire_buffer_set_int32(b, RESPONSE_TO,
                              wire_buffer_get_int32(b, RESPONSE_TO) + 100);
        break;
    case TWO_REPLIES:
        put_second(b);
        break;
    case LONG_STRING:
        put_long_string(b);
        break;
    case MORE_TO_COME:
        wire_buffer_set_int32(b, FLAGS, 2);
        break;
    case LARGE_THEN_SILENCE:
        wire_buffer_set_int32(b, LENGTH, 48000000);
        break;
    case FOUR_BYTES_THEN_SILENCE:
        wire_buffer_resize(b, 4);
        break;
    default: /* as it is */
        break;
    }
}

static wire_rule_t rule_of(enum kind *kind, const char *command)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    wire_rule_t rule = {.command = command,
                        .db = "victims",
                        .times = 1,
                        .action = WIRE_REWRITE,
                        .rewrite = worsen,
                        .arg = kind};

    switch (*kind) {
    case RESET_AMID:
    case CLOSED_AMID:
        rule.action = WIRE_CUT;
        rule.cut = 25;
        rule.end = *kind == RESET_AMID ? WIRE_RST : WIRE_FIN;
        break;
    case CLOSED_WITHOUT:
        rule.action = WIRE_CLOSE;
        rule.end = WIRE_FIN;
        break;
    case GARBAGE:
        rule.action = WIRE_RAW;
        rule.raw = http;
        rule.raw_size = sizeof http - 1;
        break;
    case DRIPS:
        rule.drip_ms = 1;
        break;
    default:
        break;
    }
    return rule;
}

/* ---- the victims -------------------------------------------------------- */

enum victim { FIND, INSERT, GET_MORE, COMMAND, N_VICTIMS };

static const char *const commands[] = {"find", "insert", "getMore", "ping"};

struct victim_client {
    stator_client_t *client;
    stator_collection_t *things;
    stator_cursor_t *cursor;
};

static void victim_open(struct victim_client *v, wire_server_t *server)
{
    char uri[WIRE_URI_SIZE];

    wire_server_uri(server, "retryReads=false&retryWrites=false", uri,
                    sizeof uri);
    v->client = new_client(uri, "{'workers': 1}");
    v->things = stator_client_get_collection(v->client, "victims", "things");
    v->cursor = stator_collection_find(v->things, NULL,
                                       J("{'batchSize': 1}"));
    done(stator_cursor_next(v->cursor));
    ck_reads(v->things, 1);
}

static void victim_close(struct victim_client *v)
{
    stator_cursor_unref(v->cursor);
    stator_collection_unref(v->things);
    end_client(v->client);
}

static stator_future_t *attack(struct victim_client *v, enum victim victim,
                               const char *opts)
{
    switch (victim) {
    case FIND:
        return lend(stator_collection_find_one(v->things, J("{'_id': 3}"),
                                               J("%s", opts)));
    case INSERT:
        return lend(stator_collection_insert_one(v->things, J("{}"),
                                                 J("%s", opts)));
    case GET_MORE:
        return lend(stator_cursor_next(v->cursor));
    default:
        return lend(stator_client_command(v->client, "victims",
                                          J("{'ping': 1}"), J("%s", opts)));
    }
}

/* What is right is this operation's own. */
static void ck_right(stator_future_t *f, enum victim victim)
{
    ck_assert_msg(stator_future_poll(f) == STATOR_FUTURE_DONE, "%s",
                  reason(f));
    if (victim == FIND)
        ck_at(stator_future_document(f), "_id", "3");
    if (victim == INSERT)
        ck_assert_int_eq(stator_future_count(f), 1);
    if (victim == GET_MORE)
        ck_at(stator_future_document(f), "_id", "1");
}

static void ck_outcome(stator_future_t *f, enum kind kind,
                       enum victim victim)
{
    const char *why = kinds[kind].why;

    ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
    if (why == NULL) {
        ck_right(f, victim);
    } else if (why == silent && victim == GET_MORE) {
        ck_cancelled(f, STATOR_MAYBE_SENT);
    } else if (why == silent) {
        ck_expired(f);
    } else {
        ck_fails(f, MONGOC_ERROR_STREAM, 0, why);
        ck_assert_int_eq(stator_future_outcome(f), STATOR_MAYBE_SENT);
    }
}

/* A second reply may spoil the next operation, but never be taken for its
 * own; then all is well. */
static void ck_works(struct victim_client *v, enum kind kind)
{
    if (kind == TWO_REPLIES) {
        stator_future_t *f = lend(stator_collection_find_one(
            v->things, J("{'_id': 5}"), NULL));

        ck_assert_int_eq(stator_future_wait(f, LIB_PATIENCE_MS), 0);
        if (stator_future_poll(f) == STATOR_FUTURE_DONE)
            ck_at(stator_future_document(f), "_id", "5");
        else
            ck_fails(f, MONGOC_ERROR_STREAM, 0,
                     "the server's answer is refused");
    }
    for (int id = 6; id < 9; id++)
        ck_reads(v->things, id);
    done(stator_collection_insert_one(v->things, J("{}"), NULL));
    done(stator_client_ping(v->client, NULL));
}

START_TEST(a_kind_of_reply)
{
    enum kind kind = (enum kind)_i;
    wire_server_t *server = wire_server_new(
        &(wire_options_t){.documents = 10});
    struct victim_client v[N_VICTIMS];
    stator_future_t *f[N_VICTIMS];

    ck_assert_ptr_nonnull(server);
    for (int i = 0; i < N_VICTIMS; i++)
        victim_open(&v[i], server);
    for (int i = 0; i < N_VICTIMS; i++) {
        wire_rule_t rule = rule_of(&kind, commands[i]);

        ck_assert_int_ne(wire_rule_add(server, &rule), 0);
        f[i] = attack(&v[i], i, kinds[kind].why == silent
                                    ? "{'timeoutMS': 300}" : "{}");
        if (kinds[kind].why == silent && i == GET_MORE) {
            ck_assert(wire_wait_count(server, "getMore", 1, WIRE_WAIT));
            ck_assert(stator_future_cancel(f[i]));
        }
    }
    for (int i = 0; i < N_VICTIMS; i++)
        ck_outcome(f[i], kind, i);
    fprintf(stderr, "hostile: %s: %s\n", kinds[kind].name,
            kinds[kind].why == NULL ? "the right answer" : reason(f[FIND]));
    for (int i = 0; i < N_VICTIMS; i++)
        ck_works(&v[i], kind);
    give_back_lent();
    for (int i = 0; i < N_VICTIMS; i++)
        victim_close(&v[i]);
    lib_forget();
    wire_server_free(server);
}
END_TEST

START_TEST(there_are_21_kinds)
{
    ck_assert_int_eq(N_KINDS, 21);
    for (int i = 0; i < N_KINDS; i++)
        ck_assert_ptr_nonnull(kinds[i].name);
}
END_TEST

SUITE(hostile)
{
    tcase_add_test(tc, there_are_21_kinds);
    tcase_add_loop_test(tc, a_kind_of_reply, 0, N_KINDS);
}
