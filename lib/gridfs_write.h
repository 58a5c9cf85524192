/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_write.h - an upload at one go: what whole files are made of. */
#ifndef STL_GRIDFS_WRITE_H
#define STL_GRIDFS_WRITE_H

#include "lib/gridfs_upload.h"

/* As the public functions, from `site`. */
stator_future_t *stl_upload_write(upload_t *upload, const void *bytes,
                                  size_t size, const void *site);
/* `before` (NULL: none) is cancelled with it. */
stator_future_t *stl_upload_close(upload_t *upload, stator_future_t *before,
                                  const void *site);
stator_future_t *stl_upload_from_fd(upload_t *upload, int fd,
                                    const void *site);

#endif /* STL_GRIDFS_WRITE_H */
