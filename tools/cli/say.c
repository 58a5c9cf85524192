/* SPDX-License-Identifier: Apache-2.0 */
/* say.c - messages, colour, and the one line that is rewritten in place.
 *
 * The driver logs from threads of its own, so a lock keeps lines whole. */
#include "say.h"

#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "redact.h"

static struct {
    const char *name;
    say_color_t color;
    bool quiet;
    bool verbose;
    char *status; /* on the screen now */
    pthread_mutex_t lock;
} say = {.name = "stator", .lock = PTHREAD_MUTEX_INITIALIZER};

void say_setup(const char *name, say_color_t color, bool quiet, bool verbose)
{
    say.name = name;
    say.color = color;
    say.quiet = quiet;
    say.verbose = verbose;
}

bool say_is_quiet(void)
{
    return say.quiet;
}

bool say_in_color(FILE *file)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (say.color != COLOR_AUTO)
        return say.color == COLOR_ALWAYS;
    if (no_color != NULL && *no_color != '\0')
        return false;
    if (term != NULL && strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(file)) == 1;
}

const char *say_style(FILE *file, style_t style)
{
    static const char *const codes[] = {"\033[1m", "\033[1;31m", "\033[32m",
                                        "\033[33m"};

    return say_in_color(file) ? codes[style] : "";
}

const char *say_plain(FILE *file)
{
    return say_in_color(file) ? "\033[0m" : "";
}

/* Control characters come from data and from servers: a terminal must not
 * obey them. */
static void put_safely(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            fprintf(stderr, "\\x%02x", c);
        else
            fputc(c, stderr);
    }
}

static void put_line(const char *prefix, style_t style, const char *text)
{
    char *safe = redact_text(text);

    pthread_mutex_lock(&say.lock);
    if (say.status != NULL)
        fputs("\r\033[K", stderr);
    if (prefix != NULL)
        fprintf(stderr, "%s%s%s%s ", say_style(stderr, style), say.name,
                prefix, say_plain(stderr));
    put_safely(safe);
    fputc('\n', stderr);
    if (say.status != NULL)
        fputs(say.status, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&say.lock);
    bson_free(safe);
}

static void put_format(const char *prefix, style_t style, const char *format,
                       va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0)
        return;
    put_line(prefix, style, text);
    free(text);
}

void say_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_format(":", STYLE_RED, format, args);
    va_end(args);
}

void say_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_format(": warning:", STYLE_YELLOW, format, args);
    va_end(args);
}

void say_note(const char *format, ...)
{
    va_list args;

    if (say.quiet)
        return;
    va_start(args, format);
    put_format(NULL, STYLE_BOLD, format, args);
    va_end(args);
}

void say_detail(const char *format, ...)
{
    va_list args;

    if (!say.verbose)
        return;
    va_start(args, format);
    put_format(NULL, STYLE_BOLD, format, args);
    va_end(args);
}

void say_status(const char *line)
{
    pthread_mutex_lock(&say.lock);
    if (say.status != NULL || line != NULL)
        fputs("\r\033[K", stderr);
    free(say.status);
    say.status = line == NULL ? NULL : strdup(line);
    if (say.status != NULL)
        fputs(say.status, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&say.lock);
}

void say_status_done(void)
{
    pthread_mutex_lock(&say.lock);
    if (say.status != NULL)
        fputc('\n', stderr);
    free(say.status);
    say.status = NULL;
    pthread_mutex_unlock(&say.lock);
}

static void driver_log(mongoc_log_level_t level, const char *log_domain,
                       const char *message, void *arg)
{
    char *text;

    (void)arg;
    if (level > MONGOC_LOG_LEVEL_WARNING && !say.verbose)
        return;
    if (asprintf(&text, "driver: %s: %s: %s",
                 mongoc_log_level_str(level), log_domain, message) < 0)
        return;
    put_line(level > MONGOC_LOG_LEVEL_WARNING ? NULL : ":", STYLE_YELLOW,
             text);
    free(text);
}

void say_take_driver_log(void)
{
    mongoc_log_set_handler(driver_log, NULL);
}
