/* SPDX-License-Identifier: Apache-2.0 */
/* lib/models.c - documents that must be of a certain kind. */
#include "lib/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/document.h"

#define WRONG(r, ...) stl_request_fail(r, STATOR_ERROR_ARGUMENT, __VA_ARGS__)

/* ---- update, replacement, pipeline ------------------------------------- */

/* What an update may not be; NULL: it is one. */
static const char *update_fault(const bson_t *update, const char **key)
{
    bson_iter_t i;

    *key = "";
    if (bson_empty(update))
        return "is empty";
    if (stl_document_is_pipeline(update) || !bson_iter_init(&i, update))
        return NULL;
    while (bson_iter_next(&i))
        if (bson_iter_key(&i)[0] != '$') {
            *key = bson_iter_key(&i);
            return "is neither a pipeline nor made of operators only: ";
        }
    return NULL;
}

static const char *replacement_fault(const bson_t *replacement,
                                     const char **key)
{
    bson_iter_t i;

    *key = "";
    if (bson_iter_init(&i, replacement))
        while (bson_iter_next(&i))
            if (bson_iter_key(&i)[0] == '$') {
                *key = bson_iter_key(&i);
                return "must not have operators: ";
            }
    return NULL;
}

void stl_request_update(struct stl_request *r, const bson_t *update)
{
    const char *fault, *key;

    if (!stl_request_check(r, STL_LABEL("update"), update))
        return;
    fault = update_fault(update, &key);
    if (fault != NULL)
        WRONG(r, "update %s%s", fault, key);
    else
        stl_request_copy(r, update);
}

void stl_request_replacement(struct stl_request *r,
                             const bson_t *replacement)
{
    const char *fault, *key;

    if (!stl_request_check(r, STL_LABEL("replacement"), replacement))
        return;
    fault = replacement_fault(replacement, &key);
    if (fault != NULL)
        WRONG(r, "replacement %s%s", fault, key);
    else
        stl_request_copy(r, replacement);
}

void stl_request_pipeline(struct stl_request *r, const bson_t *pipeline)
{
    bson_t stages;
    bson_iter_t i;

    if (!stl_request_check(r, STL_LABEL("pipeline"), pipeline))
        return;
    if (!bson_iter_init_find(&i, pipeline, "pipeline") ||
        !BSON_ITER_HOLDS_ARRAY(&i) || !stl_value_as_document(&i, &stages))
        stages = *pipeline;
    if (stl_document_is_array(&stages))
        stl_request_copy(r, &stages);
    else
        WRONG(r, "pipeline must be an array of documents, or {\"pipeline\": "
                 "[..]}");
}

/* ---- write models ------------------------------------------------------ */

enum field_kind {
    A_DOCUMENT, /* any */
    AN_UPDATE,
    A_REPLACEMENT,
    AN_ARRAY,
    A_BOOL,
    A_HINT /* a string or a document */
};

struct field {
    const char *name;
    enum field_kind kind;
    bool is_needed;
};

static const struct field insert_fields[] = {
    {"document", A_DOCUMENT, true},
    {NULL, 0, false},
};
static const struct field update_fields[] = {
    {"filter", A_DOCUMENT, true},      {"update", AN_UPDATE, true},
    {"upsert", A_BOOL, false},         {"arrayFilters", AN_ARRAY, false},
    {"collation", A_DOCUMENT, false},  {"hint", A_HINT, false},
    {NULL, 0, false},
};
static const struct field replace_fields[] = {
    {"filter", A_DOCUMENT, true},     {"replacement", A_REPLACEMENT, true},
    {"upsert", A_BOOL, false},        {"collation", A_DOCUMENT, false},
    {"hint", A_HINT, false},          {NULL, 0, false},
};
static const struct field delete_fields[] = {
    {"filter", A_DOCUMENT, true},
    {"collation", A_DOCUMENT, false},
    {"hint", A_HINT, false},
    {NULL, 0, false},
};

static const struct write_kind {
    const char *name;
    const struct field *fields;
} write_kinds[] = {
    {"insertOne", insert_fields},   {"updateOne", update_fields},
    {"updateMany", update_fields},      {"replaceOne", replace_fields},
    {"deleteOne", delete_fields},       {"deleteMany", delete_fields},
    {NULL, NULL},
};

/* What is wrong with the value of a field; NULL: nothing. */
static const char *field_fault(const struct field *field,
                               const bson_iter_t *value, const char **key)
{
    bson_t view;

    *key = "";
    switch (field->kind) {
    case A_DOCUMENT:
        return BSON_ITER_HOLDS_DOCUMENT(value) ? NULL : "must be a document";
    case AN_UPDATE:
        if (BSON_ITER_HOLDS_ARRAY(value) &&
            stl_value_as_document(value, &view))
            return stl_document_is_pipeline(&view)
                       ? NULL
                       : "must be a pipeline of stages";
        if (BSON_ITER_HOLDS_DOCUMENT(value) &&
            stl_value_as_document(value, &view))
            return update_fault(&view, key);
        return "must be a document or an array";
    case A_REPLACEMENT:
        if (BSON_ITER_HOLDS_DOCUMENT(value) &&
            stl_value_as_document(value, &view))
            return replacement_fault(&view, key);
        return "must be a document";
    case AN_ARRAY:
        return BSON_ITER_HOLDS_ARRAY(value) ? NULL : "must be an array";
    case A_BOOL:
        return BSON_ITER_HOLDS_BOOL(value) ? NULL : "must be a bool";
    case A_HINT:
        return BSON_ITER_HOLDS_UTF8(value) || BSON_ITER_HOLDS_DOCUMENT(value)
                   ? NULL
                   : "must be a string or a document";
    }
    return NULL;
}

/* `body` is that of models[index].<kind>. */
static void check_fields(struct stl_request *r, const struct write_kind *kind,
                         const bson_iter_t *body, size_t index)
{
    const struct field *f;
    unsigned seen = 0;
    bson_iter_t i;

    if (!BSON_ITER_HOLDS_DOCUMENT(body) || !bson_iter_recurse(body, &i)) {
        WRONG(r, "models[%zu].%s must be a document, is %s", index,
              kind->name, stl_type_name(body));
        return;
    }
    while (stl_request_is_sound(r) && bson_iter_next(&i)) {
        const char *name = bson_iter_key(&i), *fault, *key;

        f = kind->fields;
        while (f->name != NULL && strcmp(f->name, name) != 0)
            f++;
        if (f->name == NULL) {
            WRONG(r, "models[%zu].%s.%s is unknown", index, kind->name, name);
            return;
        }
        if (seen & 1u << (f - kind->fields)) {
            WRONG(r, "models[%zu].%s.%s is given twice", index, kind->name,
                  name);
            return;
        }
        seen |= 1u << (f - kind->fields);
        fault = field_fault(f, &i, &key);
        if (fault != NULL)
            WRONG(r, "models[%zu].%s.%s %s%s", index, kind->name, name, fault,
                  key);
    }
    for (f = kind->fields; f->name != NULL; f++)
        if (f->is_needed && !(seen & 1u << (f - kind->fields)))
            WRONG(r, "models[%zu].%s.%s is missing", index, kind->name,
                  f->name);
}

static uint8_t *write_head(uint8_t *to, size_t length, const char *key,
                           size_t key_size)
{
    uint32_t length_le = BSON_UINT32_TO_LE((uint32_t)length);

    memcpy(to, &length_le, 4);
    to[4] = BSON_TYPE_DOCUMENT;
    memcpy(to + 5, key, key_size);
    return to + 5 + key_size;
}

/* {insertOne: {document: {_id: .., ..}}} */
static void copy_insert_one(struct stl_request *r, const bson_t *document)
{
    static const char outer[] = "insertOne", inner[] = "document";
    size_t length = stl_document_size_with_id(document);
    size_t inner_length = 4 + 1 + sizeof inner + length + 1;
    size_t outer_length = 4 + 1 + sizeof outer + inner_length + 1;
    uint8_t *to = stl_request_room(r, outer_length);

    if (to == NULL)
        return;
    to = write_head(to, outer_length, outer, sizeof outer);
    to = write_head(to, inner_length, inner, sizeof inner);
    to = stl_document_write_with_id(to, document);
    memset(to, 0, 2);
}

void stl_request_write_model(struct stl_request *r, const bson_t *model,
                             size_t index)
{
    const struct write_kind *kind = write_kinds;
    bson_iter_t body, more, i;
    bson_t document;

    if (!stl_request_check(r, (struct stl_label){"models", (int64_t)index},
                           model))
        return;
    if (!bson_iter_init(&body, model) || !bson_iter_next(&body)) {
        WRONG(r, "models[%zu] is empty", index);
        return;
    }
    while (kind->name != NULL && strcmp(kind->name, bson_iter_key(&body)) != 0)
        kind++;
    if (kind->name == NULL) {
        WRONG(r, "models[%zu].%s is unknown", index, bson_iter_key(&body));
        return;
    }
    more = body;
    if (bson_iter_next(&more)) {
        WRONG(r, "models[%zu] must have one key, has %s and %s", index,
              kind->name, bson_iter_key(&more));
        return;
    }
    check_fields(r, kind, &body, index);
    if (!stl_request_is_sound(r))
        return;
    if (kind->fields == insert_fields && bson_iter_recurse(&body, &i) &&
        bson_iter_next(&i) && stl_value_as_document(&i, &document))
        copy_insert_one(r, &document);
    else
        stl_request_copy(r, model);
}

/* ---- index models ------------------------------------------------------ */

/* As the server's shell makes them: a_1_b_-1. */
static void make_name(struct stl_request *r, const bson_iter_t *keys,
                      size_t index, bson_string_t *name)
{
    const char *between = "";
    bson_iter_t i;
    int64_t n;

    bson_iter_recurse(keys, &i);
    while (bson_iter_next(&i)) {
        bson_string_append_printf(name, "%s%s_", between, bson_iter_key(&i));
        if (BSON_ITER_HOLDS_UTF8(&i))
            bson_string_append(name, bson_iter_utf8(&i, NULL));
        else if (stl_value_as_int64(&i, &n))
            bson_string_append_printf(name, "%" PRId64, n);
        else if (BSON_ITER_HOLDS_DOUBLE(&i))
            bson_string_append_printf(name, "%g", bson_iter_double(&i));
        else
            WRONG(r, "models[%zu].key.%s must be a number or a string, is %s",
                  index, bson_iter_key(&i), stl_type_name(&i));
        between = "_";
    }
}

void stl_request_index_model(struct stl_request *r, const bson_t *model,
                             size_t index)
{
    bson_iter_t keys, name, i;
    bson_string_t *made;
    bson_t named;

    if (!stl_request_check(r, (struct stl_label){"models", (int64_t)index},
                           model))
        return;
    if (!bson_iter_init_find(&keys, model, "key")) {
        WRONG(r, "models[%zu].key is missing", index);
        return;
    }
    if (!BSON_ITER_HOLDS_DOCUMENT(&keys) || !bson_iter_recurse(&keys, &i)) {
        WRONG(r, "models[%zu].key must be a document, is %s", index,
              stl_type_name(&keys));
        return;
    }
    if (!bson_iter_next(&i)) {
        WRONG(r, "models[%zu].key is empty", index);
        return;
    }
    if (bson_iter_init_find(&name, model, "name")) {
        if (!BSON_ITER_HOLDS_UTF8(&name))
            WRONG(r, "models[%zu].name must be a string, is %s", index,
                  stl_type_name(&name));
        else
            stl_request_copy(r, model);
        return;
    }
    made = bson_string_new(NULL);
    make_name(r, &keys, index, made);
    if (stl_request_is_sound(r)) {
        bson_copy_to(model, &named);
        BSON_APPEND_UTF8(&named, "name", made->str);
        stl_request_copy(r, &named);
        bson_destroy(&named);
    }
    bson_string_free(made, true);
}

/* What has no name the server calls "default". */
void stl_request_search_index_model(struct stl_request *r,
                                    const bson_t *model, size_t index)
{
    bool has_definition = false;
    bson_iter_t i;

    if (!stl_request_check(r, (struct stl_label){"models", (int64_t)index},
                           model) ||
        !bson_iter_init(&i, model))
        return;
    while (bson_iter_next(&i)) {
        const char *key = bson_iter_key(&i);
        bool is_text = strcmp(key, "name") == 0 || strcmp(key, "type") == 0;

        if (strcmp(key, "definition") == 0) {
            has_definition = true;
            if (!BSON_ITER_HOLDS_DOCUMENT(&i))
                WRONG(r, "models[%zu].definition must be a document, is %s",
                      index, stl_type_name(&i));
        } else if (!is_text) {
            WRONG(r, "models[%zu].%s is unknown", index, key);
        } else if (!BSON_ITER_HOLDS_UTF8(&i)) {
            WRONG(r, "models[%zu].%s must be a string, is %s", index, key,
                  stl_type_name(&i));
        }
    }
    if (!has_definition)
        WRONG(r, "models[%zu].definition is missing", index);
    stl_request_copy(r, model);
}
