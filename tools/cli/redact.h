/* SPDX-License-Identifier: Apache-2.0 */
/* redact.h - keeps passwords out of all that is printed. */
#ifndef CLI_REDACT_H
#define CLI_REDACT_H

/* The connection string without its secrets, malformed ones included: the
 * password, and the values of options that hold one.  To be freed. */
char *redact_uri(const char *uri);

/* From now on redact_text takes out what is secret in `uri`, as it is
 * written there and percent-decoded. */
void redact_learn(const char *uri);

/* A copy of `text` without any secret that is known.  To be freed. */
char *redact_text(const char *text);

/* Overwrite what is secret in `uri`, in place: the arguments of a process
 * can be read by everybody on the machine. */
void redact_scrub(char *uri);

/* Forget what was learnt. */
void redact_forget(void);

#endif
