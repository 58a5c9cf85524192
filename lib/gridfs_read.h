/* SPDX-License-Identifier: Apache-2.0 */
/* lib/gridfs_read.h - a download at one go: what whole files are made of. */
#ifndef STL_GRIDFS_READ_H
#define STL_GRIDFS_READ_H

#include "lib/gridfs_download.h"

/* As the public functions, from `site`. */
stator_future_t *stl_download_read(download_t *download, size_t max,
                                   const void *site);
stator_future_t *stl_download_to_fd(download_t *download, int fd,
                                    const void *site);

#endif /* STL_GRIDFS_READ_H */
