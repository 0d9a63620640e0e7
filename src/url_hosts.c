/* Lists of hosts, to libpq's parallel lists "host" and "port". */
#include "url_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int append(struct url_parser *p, struct url_span name, int port)
{
    struct url_hosts *hosts = &p->hosts;
    const char *comma = hosts->count ? "," : "";
    size_t used = strlen(hosts->names), used_ports = strlen(hosts->ports), length = (size_t)(name.to - name.from);
    if (used + length + sizeof "," > sizeof hosts->names || hosts->count++ == URL_HOSTS_MAX)
        return err_set(p->reader.err, ERR_USAGE, "%s has too long a list of hosts", p->reader.what);
    snprintf(hosts->names + used, sizeof hosts->names - used, "%s%.*s", comma, (int)length, name.from);
    snprintf(hosts->ports + used_ports, sizeof hosts->ports - used_ports, port ? "%s%d" : "%s", comma, port);
    hosts->any_port = hosts->any_port || port;
    return 0;
}

int url_add_authority(struct url_parser *p)
{
    struct url_span rest = p->reader.parts.hosts, item;
    while (url_next(&rest, ',', &item)) {
        struct url_host host;
        if (url_read_host(&p->reader, item, &host) != 0)
            return -1;
        const char *name = url_value(&p->reader, host.name);
        if (append(p, (struct url_span){name, name + strlen(name)}, host.port) != 0)
            return -1;
    }
    return url_finish_hosts(p);
}

/* The directory of a socket, or IPv6 without brackets: a colon in it leads to no port. */
static bool is_address(struct url_span host)
{
    if (host.from == host.to || *host.from == '/' || *host.from == '@')
        return true;
    const char *colon = memchr(host.from, ':', (size_t)(host.to - host.from));
    return *host.from != '[' && colon && memchr(colon + 1, ':', (size_t)(host.to - colon - 1));
}

int url_add_hosts(struct url_parser *p, const char *list)
{
    struct url_span rest = {list, list + strlen(list)}, item;
    while (url_next(&rest, ',', &item)) {
        while (item.from < item.to && isspace((unsigned char)*item.from))
            item.from++;
        while (item.from < item.to && isspace((unsigned char)item.to[-1]))
            item.to--;
        struct url_host host = {.name = item};
        if ((!is_address(item) && url_read_host(&p->reader, item, &host) != 0) || append(p, host.name, host.port) != 0)
            return -1;
    }
    return 0;
}

/* Takes the next of the ports off `ports`; the last one, which may be the only one, stays for the rest. */
static struct url_span next_port(const char **ports)
{
    size_t length = strcspn(*ports, ",");
    struct url_span port = {*ports, *ports + length};
    if (port.to[0] == ',')
        *ports = port.to + 1;
    return port;
}

/* The hosts' own ports, and for hosts without one what the rest of the URL says. */
static const char *merge_ports(struct url_parser *p)
{
    const char *given = url_get(p->url, "port");
    struct url_span rest = {p->hosts.ports, p->hosts.ports + strlen(p->hosts.ports)}, own;
    char *ports = p->reader.next, *end = ports;
    for (const char *comma = ""; url_next(&rest, ',', &own); comma = ",") {
        struct url_span other = given ? next_port(&given) : own, port = own.from < own.to ? own : other;
        end += sprintf(end, "%s%.*s", comma, (int)(port.to - port.from), port.from);
    }
    p->reader.next = end + 1;
    return ports;
}

int url_finish_hosts(struct url_parser *p)
{
    struct url_hosts *hosts = &p->hosts;
    if ((hosts->names[0] && url_add(p, "host", url_keep(p, hosts->names)) != 0) ||
        (hosts->any_port && url_add(p, "port", merge_ports(p)) != 0))
        return -1;
    *hosts = (struct url_hosts){.count = 0};
    return 0;
}
