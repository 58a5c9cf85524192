/* SPDX-License-Identifier: Apache-2.0 */
/* lib/version.c - the version of the library that runs. */
#include <stator/version.h>

const char *stator_version(void)
{
    return STATOR_VERSION_STRING;
}
