/* SPDX-License-Identifier: Apache-2.0 */
/* version.h - which Stator this is, at compile time and at run time. */
#ifndef STATOR_VERSION_H
#define STATOR_VERSION_H

#include <stator/export.h>

#define STATOR_VERSION_MAJOR 0
#define STATOR_VERSION_MINOR 1
#define STATOR_VERSION_MICRO 0
#define STATOR_VERSION_STRING "0.1.0"

/* True when the headers are of this version or of a later one.  To be used
 * in #if. */
#define STATOR_CHECK_VERSION(major, minor, micro)                             \
    (STATOR_VERSION_MAJOR > (major) ||                                        \
     (STATOR_VERSION_MAJOR == (major) && STATOR_VERSION_MINOR > (minor)) ||   \
     (STATOR_VERSION_MAJOR == (major) && STATOR_VERSION_MINOR == (minor) &&   \
      STATOR_VERSION_MICRO >= (micro)))

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs, "major.minor.micro": it can be later
 * than that of the headers, STATOR_VERSION_STRING.
 *
 * Thread: any.  Owns: lent, for ever.  Errors: none.
 * Source: mongoc_get_version. */
STATOR_API const char *stator_version(void);

#ifdef __cplusplus
}
#endif

#endif /* STATOR_VERSION_H */
