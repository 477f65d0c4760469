// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/hosts.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

namespace cvlan::controller {

namespace {

std::string host_text(const Address& address) {
    return address.is_v4() ? address.text() : fmt::format("[{}]", address.text());
}

void add_listener(std::vector<std::string>& hosts, const Endpoint& listener) {
    if (!listener.address.is_unspecified()) hosts.push_back(host_text(listener.address));
}

std::vector<Address> resolve(const std::string& name) {
    if (const auto address = Address::parse(name)) return {*address};
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;  // each address once
    addrinfo* found = nullptr;
    std::vector<Address> addresses;
    if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return addresses;
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
    for (const addrinfo* entry = found; entry; entry = entry->ai_next)
        if (const auto endpoint = Endpoint::from_sockaddr(entry->ai_addr, entry->ai_addrlen))
            addresses.push_back(endpoint->address);
    return addresses;
}

}  // namespace

std::vector<std::string> hosts_at(const std::string& server_name, const Endpoint& listener) {
    std::vector<std::string> hosts;
    // An IPv6 address may be written in several ways: clients send it as the token's URL has it.
    const auto address = Address::parse(server_name);
    const bool is_v6 = address && !address->is_v4();
    hosts.push_back(is_v6 ? fmt::format("[{}]", server_name) : server_name);
    if (address) hosts.push_back(host_text(*address));
    add_listener(hosts, listener);
    return hosts;
}

std::vector<std::string> local_hosts(const Endpoint& listener) {
    std::vector<std::string> hosts{"localhost", "127.0.0.1", "[::1]"};
    add_listener(hosts, listener);
    return hosts;
}

std::vector<Address> own_addresses(const std::string& server_name, const ControllerConfig& config) {
    std::vector<Address> own = resolve(server_name);
    for (const Endpoint* at :
         {&config.discovery, &config.registration, &config.session, &config.api})
        if (!at->address.is_unspecified()) own.push_back(at->address);
    std::sort(own.begin(), own.end());
    own.erase(std::unique(own.begin(), own.end()), own.end());
    return own;
}

}  // namespace cvlan::controller
