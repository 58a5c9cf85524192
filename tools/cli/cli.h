/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - the commands of `stator`, and the codes they end with. */
#ifndef CLI_H
#define CLI_H

#include <sysexits.h>

#include "settings.h"

/* Beside those of sysexits.h: 128 + the signal that ended the command. */
enum { EXIT_PIPE = 141 };

/* A command parses its own arguments; argv[0] is "stator NAME".  Its result
 * is the exit code of the process. */
typedef int command_fn(settings_t *settings, int argc, char **argv);

command_fn cmd_aggregate;
command_fn cmd_bench;
command_fn cmd_config;
command_fn cmd_demo;
command_fn cmd_find;
command_fn cmd_load;
command_fn cmd_ping;

#endif
