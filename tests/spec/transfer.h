/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.h - the bytes of GridFS, up and down. */
#ifndef TESTS_SPEC_TRANSFER_H
#define TESTS_SPEC_TRANSFER_H

#include "tests/spec/operation.h"

/* The file's _id; false: the argument is missing. */
bool transfer_id(const call_t *call, bson_iter_t *at, const bson_value_t **id);

const char *transfer_name(const call_t *call);

verb_fn transfer_raw_download, transfer_raw_upload,
    transfer_raw_upload_with_id;
verb_fn transfer_download, transfer_download_by_name, transfer_upload,
    transfer_upload_with_id;

#endif
