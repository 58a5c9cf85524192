/* SPDX-License-Identifier: Apache-2.0 */
/* netns.c - a network of the test's own. */
#include "tests/faults/netns.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool raise_loopback(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_flags = IFF_UP};
    bool ok;

    snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    return ok;
}

bool netns_enter(void)
{
    /* The rule for local addresses comes first, and would take all. */
    return access("/usr/sbin/ip", X_OK) == 0 && unshare(CLONE_NEWNET) == 0 &&
           raise_loopback() &&
           system("ip rule add pref 9 lookup local && "
                  "ip rule del pref 0") == 0;
}

static bool drop(int port)
{
    static bool dropped[65536];
    char line[256];

    if (dropped[port])
        return true;
    dropped[port] = true;
    snprintf(line, sizeof line,
             "ip rule add pref 1 ipproto tcp sport %d blackhole && "
             "ip rule add pref 1 ipproto tcp dport %d blackhole", port, port);
    return system(line) == 0;
}

/* Of a TCP connection, or 0. */
static int local_port(int fd)
{
    struct sockaddr_in own, peer;
    socklen_t size = sizeof own;

    if (getsockname(fd, (struct sockaddr *)&own, &size) != 0 ||
        own.sin_family != AF_INET)
        return 0;
    size = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0)
        return 0;
    return ntohs(own.sin_port);
}

int netns_lose_all(void)
{
    int ports[256], n = 0, lost = 0;

    /* Both ends of each connection are in this process: the server's have its
     * one port, those of clients differ. */
    for (int fd = 0; fd < 1024 && n < 256; fd++) {
        int port = local_port(fd);

        if (port != 0)
            ports[n++] = port;
    }
    for (int i = 0; i < n; i++) {
        int same = 0;

        for (int k = 0; k < n; k++)
            same += ports[k] == ports[i];
        if (same == 1 && !drop(ports[i]))
            return -1;
        lost += same == 1;
    }
    return lost;
}

bool netns_hang_lookups(void)
{
    static const char path[] = "build/tests/resolv.conf";
    struct sockaddr_in silent = {.sin_family = AF_INET,
                                 .sin_port = htons(53),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    FILE *file = fopen(path, "w");

    if (file != NULL) {
        fputs("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n", file);
        fclose(file);
    }
    return fd >= 0 && file != NULL &&
           bind(fd, (struct sockaddr *)&silent, sizeof silent) == 0 &&
           unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(path, "/etc/resolv.conf", "none", MS_BIND, NULL) == 0;
}
