/* SPDX-License-Identifier: Apache-2.0 */
/* lib/document.h - what kind of BSON a user gave. */
#ifndef STL_DOCUMENT_H
#define STL_DOCUMENT_H

#include <stdbool.h>

#include "futures/document.h"

/* Are its keys "0", "1", .. and its values documents? */
bool stl_document_is_array(const bson_t *document);
/* The driver's notion of an update that is a pipeline: such an array, not
 * empty, of stages. */
bool stl_document_is_pipeline(const bson_t *document);

/* A whole number, as int32, int64 or double. */
bool stl_value_as_int64(const bson_iter_t *value, int64_t *out);
/* The document or array that `value` is; false: it is something else. */
bool stl_value_as_document(const bson_iter_t *value, bson_t *view);
/* "a string", "an array", ..: for messages. */
const char *stl_type_name(const bson_iter_t *value);

#endif /* STL_DOCUMENT_H */
