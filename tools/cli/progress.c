/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - the share of the bytes read, the rate, and what is left. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "say.h"
#include "table.h"

enum { REDRAW_US = 100 * 1000, PLAIN_US = 2 * 1000 * 1000, BAR_MAX = 40 };

void progress_start(progress_t *progress, const char *name, uint64_t total)
{
    const char *slash = strrchr(name, '/');

    *progress = (progress_t){.name = slash != NULL ? slash + 1 : name,
                             .total = total,
                             .start = clock_us(),
                             .is_terminal = isatty(STDERR_FILENO) == 1,
                             .quiet = say_is_quiet()};
    progress->shown = progress->start;
}

double progress_seconds(const progress_t *progress)
{
    return (double)(clock_us() - progress->start) / 1e6;
}

static int columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

/* "58 %  12 345 written  5 100/s  0:03 left" */
static void describe(const progress_t *progress, uint64_t bytes,
                     uint64_t written, char *text, size_t size)
{
    double seconds = progress_seconds(progress);
    double share = progress->total > 0
                       ? (double)bytes / (double)progress->total
                       : 0;
    int n = 0;

    if (progress->total > 0)
        n = snprintf(text, size, "%3.0f %%  ", share * 100);
    n += snprintf(text + n, size - (size_t)n, "%s written  %s/s",
                  table_number((double)written, 0),
                  table_number(seconds > 0 ? (double)written / seconds : 0,
                               0));
    if (share > 0.01 && share < 1) {
        long left = (long)(seconds / share - seconds + 0.5);

        snprintf(text + n, size - (size_t)n, "  %ld:%02ld left", left / 60,
                 left % 60);
    }
}

static void draw(const progress_t *progress, uint64_t bytes,
                 uint64_t written)
{
    char text[128], bar[BAR_MAX + 1], line[320];
    int room, filled;

    describe(progress, bytes, written, text, sizeof text);
    if (!progress->is_terminal) {
        say_note("%s: %s", progress->name, text);
        return;
    }
    room = columns() - (int)strlen(text) - (int)strlen(progress->name) - 8;
    if (room > BAR_MAX)
        room = BAR_MAX;
    if (progress->total == 0 || room < 5) {
        snprintf(line, sizeof line, "%.*s", columns() - 1, text);
    } else {
        filled = (int)((double)bytes / (double)progress->total * room);
        for (int i = 0; i < room; i++)
            bar[i] = i < filled ? '#' : '.';
        bar[room] = '\0';
        snprintf(line, sizeof line, "%.100s  [%s%s%s] %s", progress->name,
                 say_style(stderr, STYLE_GREEN), bar, say_plain(stderr),
                 text);
    }
    say_status(line);
}

void progress_update(progress_t *progress, uint64_t bytes, uint64_t written)
{
    if (progress->quiet || progress_timeout(progress) > 0)
        return;
    draw(progress, bytes, written);
    progress->shown = clock_us();
}

void progress_end(progress_t *progress, uint64_t bytes, uint64_t written)
{
    if (progress->quiet || !progress->is_terminal)
        return;
    draw(progress, bytes, written);
    say_status_done();
}

int progress_timeout(const progress_t *progress)
{
    int64_t period = progress->is_terminal ? REDRAW_US : PLAIN_US;
    int64_t left = progress->shown + period - clock_us();

    return left <= 0 ? 0 : (int)(left / 1000) + 1;
}
