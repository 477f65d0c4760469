// SPDX-License-Identifier: Apache-2.0
#pragma once

// The way to a server's socket: a connection of one's own, or one that an HTTP proxy is asked for
// (CONNECT, RFC 9110 section 9.3.6). TLS is then spoken with the server itself; the proxy sees its
// address and the ciphertext.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "http/connector.h"

namespace cvlan::http {

struct ProxyTarget {
    std::string host;  // a name or an address
    uint16_t port = 3128;
    SecretText authorization{};  // of Proxy-Authorization, "Basic …"; empty: none
    ProxyTarget clone() const { return {host, port, authorization.clone()}; }
    // As a URL, without what is secret.
    std::string text() const;
};
// "http://[USER:PASSWORD@]HOST:PORT". User and password may be percent-encoded. An error does not
// repeat them.
Result<ProxyTarget> parse_proxy(std::string_view url);

// Calls `done` once, from the loop, never within the constructor; destroying it calls it off. How
// long it may take is the caller's to say. A proxy is told the first of the target's addresses,
// or its name where it has none. Errors: as Connector's; Denied where the proxy answers 403 or 407.
class Tunnel {
public:
    Tunnel(EventLoop& loop, ConnectTarget target, std::optional<ProxyTarget> proxy,
           Connector::Done done);
    ~Tunnel();
    Tunnel(const Tunnel&) = delete;
    Tunnel& operator=(const Tunnel&) = delete;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::http
