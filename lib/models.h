/* SPDX-License-Identifier: Apache-2.0 */
/* lib/models.h - the models of bulk_write and create_indexes, and the
 * arguments that only some kinds of document are good for. */
#ifndef STL_MODELS_H
#define STL_MODELS_H

#include "lib/request.h"

/* Check the model and copy it, insertOne's document with an _id. */
void stl_request_write_model(struct stl_request *r, const bson_t *model,
                             size_t index);
/* Check the model and copy it, with a name. */
void stl_request_index_model(struct stl_request *r, const bson_t *model,
                             size_t index);
/* {definition, name, type}: check and copy. */
void stl_request_search_index_model(struct stl_request *r,
                                    const bson_t *model, size_t index);
/* Operators, or a pipeline. */
void stl_request_update(struct stl_request *r, const bson_t *update);
/* No operators. */
void stl_request_replacement(struct stl_request *r,
                             const bson_t *replacement);
/* An array, or {pipeline: [..]}; copied as the array. */
void stl_request_pipeline(struct stl_request *r, const bson_t *pipeline);

#endif /* STL_MODELS_H */
