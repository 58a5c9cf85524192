/* SPDX-License-Identifier: Apache-2.0 */
/* export.h - what marks a public declaration. */
#ifndef STATOR_EXPORT_H
#define STATOR_EXPORT_H

#if defined(__GNUC__)
#define STATOR_API __attribute__((visibility("default")))
#define STATOR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define STATOR_API
#define STATOR_MUST_CHECK
#endif

#endif /* STATOR_EXPORT_H */
