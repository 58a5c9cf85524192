/* SPDX-License-Identifier: Apache-2.0 */
/* futures/document.h - looking at a user's BSON before it is trusted. */
#ifndef STF_DOCUMENT_H
#define STF_DOCUMENT_H

#include <stdbool.h>

#include <bson/bson.h>

/* What is wrong with the structure of `document`, as "is corrupt BSON";
 * `offset` is then where.  NULL: nothing. */
const char *stf_document_flaw(const bson_t *document, size_t *offset);

#endif /* STF_DOCUMENT_H */
