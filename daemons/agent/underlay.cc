// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/underlay.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/bytes.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "base/version.h"
#include "daemons/agent/netcheck.h"
#include "netlink/route.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

bool is_usable(const Address& address) {
    return !address.is_unspecified() && !address.is_loopback() && !address.is_link_local() &&
           !address.is_multicast() && !address.is_v4_mapped();
}

bool is_free(int family, uint16_t port) {
    const UniqueFd fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return true;  // no such family here: nobody can hold it
    const int on = 1;
    if (family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    Endpoint any;
    if (family == AF_INET6) any.address = *Address::parse("::");
    any.port = port;
    sockaddr_storage storage{};
    const socklen_t size = any.to_sockaddr(storage);
    return bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) == 0;
}

std::string first_line(const std::string& path) {
    auto text = read_file(path, 65536);
    return text ? text->substr(0, text->find('\n')) : std::string();
}

// PRETTY_NAME="Debian GNU/Linux 12 (bookworm)" of os-release(5).
std::string os_name() {
    auto text = read_file("/etc/os-release", 65536);
    if (!text) return "";
    constexpr std::string_view kKey = "PRETTY_NAME=";
    size_t at = text->starts_with(kKey) ? 0 : text->find("\n" + std::string(kKey));
    if (at == std::string::npos) return "";
    at = text->find('=', at) + 1;
    std::string value = text->substr(at, text->find('\n', at) - at);
    std::erase(value, '"');
    return value;
}

std::vector<std::string> mac_addresses() {
    std::vector<std::string> found;
    std::error_code error;
    for (const auto& link : std::filesystem::directory_iterator("/sys/class/net", error)) {
        // Hardware has a device behind it; bridges, tunnels and the like have none.
        if (!std::filesystem::exists(link.path() / "device", error)) continue;
        std::string mac = first_line((link.path() / "address").string());
        if (mac.size() == 17 && mac != "00:00:00:00:00:00") found.push_back(std::move(mac));
    }
    std::sort(found.begin(), found.end());
    if (found.size() > 64) found.resize(64);
    return found;
}

}  // namespace

reach::Underlay underlay_of(const std::vector<netlink::Link>& links,
                            const std::vector<netlink::InterfaceAddress>& addresses) {
    std::map<int, bool> is_usable_link;
    for (const netlink::Link& link : links) {
        const bool is_ours = !reconcile::network_of_alias(link.alias).empty();
        is_usable_link[link.index] = link.up && !is_ours && link.name != "lo";
    }
    reach::Underlay underlay;
    underlay.has_v4 = underlay.has_v6 = false;
    for (const netlink::InterfaceAddress& entry : addresses) {
        if (!is_usable_link[entry.ifindex] || !is_usable(entry.address) || !entry.is_settled)
            continue;
        (entry.address.is_v4() ? underlay.has_v4 : underlay.has_v6) = true;
        underlay.own.push_back(entry.address);
        auto subnet = Prefix::of(entry.address, entry.prefix_length);
        if (subnet && entry.prefix_length > 0) underlay.subnets.push_back(*subnet);
    }
    std::sort(underlay.own.begin(), underlay.own.end());
    std::sort(underlay.subnets.begin(), underlay.subnets.end());
    return underlay;
}

Result<reach::Underlay> read_underlay(netlink::Socket& socket) {
    auto links = netlink::list_links(socket);
    if (!links) return failed(links.error().while_doing("underlay"));
    auto addresses = netlink::list_addresses(socket);
    if (!addresses) return failed(addresses.error().while_doing("underlay"));
    return underlay_of(*links, *addresses);
}

bool leads_v4() {
    return path_mtu({*Address::parse("192.0.2.1"), 9}, reconcile::kMarkBase).has_value();
}

Result<std::optional<Gateway>> read_gateway(netlink::Socket& socket) {
    auto routes = netlink::list_routes(socket, Family::V4, {.table = RT_TABLE_MAIN});
    if (!routes) return failed(routes.error().while_doing("gateway"));
    const netlink::Route* best = nullptr;
    for (const netlink::Route& route : *routes)
        if (route.destination.length() == 0 && route.gateway &&
            (!best || route.metric < best->metric))
            best = &route;
    if (!best) return std::nullopt;
    return Gateway{*best->gateway, static_cast<uint32_t>(best->ifindex)};
}

std::vector<Endpoint> own_endpoints(const std::vector<Endpoint>& advertised,
                                    const std::vector<Endpoint>& found,
                                    const reach::Underlay& underlay, uint16_t port) {
    std::vector<Endpoint> own;
    const auto add = [&](const Endpoint& endpoint) {
        if (own.size() < kMaxReported && std::find(own.begin(), own.end(), endpoint) == own.end())
            own.push_back(endpoint);
    };
    for (const Endpoint& endpoint : advertised) add(endpoint);
    for (const Endpoint& endpoint : found) add(endpoint);
    // Where there are too many it is those of bridges that fall away.
    for (const bool is_private : {false, true})
        for (const Address& address : underlay.own)
            if (address.is_private() == is_private) add({address, port});
    return own;
}

std::vector<std::string> texts_of(const std::vector<Endpoint>& endpoints) {
    std::vector<std::string> texts;
    texts.reserve(endpoints.size());
    for (const Endpoint& endpoint : endpoints) texts.push_back(endpoint.text());
    return texts;
}

uint16_t free_udp_port(uint16_t first, const std::vector<uint16_t>& used) {
    for (uint32_t port = first; port <= 65535 && port < first + 1000u; ++port) {
        const auto candidate = static_cast<uint16_t>(port);
        if (std::find(used.begin(), used.end(), candidate) != used.end()) continue;
        if (is_free(AF_INET, candidate) && is_free(AF_INET6, candidate)) return candidate;
    }
    return 0;
}

model::wire::Inventory read_inventory(bool with_mac_addresses) {
    model::wire::Inventory inventory;
    utsname names{};
    if (uname(&names) == 0) {
        inventory.hostname = printable(names.nodename);
        inventory.kernel = printable(names.release);
        inventory.architecture = printable(names.machine);
    }
    inventory.os = printable(os_name()).substr(0, 128);
    inventory.agent_version = kVersion;
    if (with_mac_addresses) inventory.mac_addresses = mac_addresses();
    return inventory;
}

}  // namespace cvlan::agent
