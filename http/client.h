// SPDX-License-Identifier: Apache-2.0
#pragma once

// An HTTP/1.1 client on one EventLoop for one origin, over TLS or a unix socket. It keeps one
// connection and reuses it; requests wait their turn, so a blocking query wants a Client of its
// own. Names are resolved anew for every connection, addresses of both families tried 250 ms apart.
//
// Errors: Unavailable (no connection, connection lost, time over; try again later), Denied (the
// server's certificate is not trusted, or it refuses ours), Malformed, TooLarge (the answer).
// A status of 400 and above is an answer, not an Error.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/secret.h"
#include "http/message.h"
#include "http/tls.h"
#include "http/tunnel.h"

namespace cvlan::http {

struct ClientOptions {
    std::string host{};  // a name or an address; what the certificate must match
    uint16_t port = 443;
    std::vector<Address> addresses{};  // connect here instead of resolving `host`
    std::string unix_path{};           // plain HTTP over this socket; then no TLS and no port

    TlsTrust trust{};
    std::string certificate_pem{};  // our own, with intermediates; empty: none
    SecretText private_key_pem{};
    std::shared_ptr<const ClientTls> tls{};  // instead of these three

    std::optional<ProxyTarget> proxy{};  // that is asked for the connection; not with may_connect

    uint32_t fwmark = 0;  // SO_MARK of the connection, if not 0 and CAP_NET_ADMIN is held
    std::chrono::milliseconds connect_timeout{10'000};  // name, TCP and TLS together
    std::chrono::milliseconds idle{
        60'000};  // an unused connection is closed; keep below the server's
    size_t body_bytes = 16 * 1024 * 1024;
    // Asked of each address before it is connected to, whatever the name resolves to then; Denied
    // where none passes. Not set: any.
    std::function<bool(const Address&)> may_connect{};
};

struct ClientRequest {
    std::string method = "GET";
    std::string target{};  // path and query
    Headers headers{};     // Host, Content-Length, Connection are the client's
    std::string body{};
    std::chrono::milliseconds timeout{30'000};  // from request() to the last byte of the answer
};

class Client {
public:
    using Done = std::function<void(Result<Response>)>;

    // Fails on certificates and keys that can not be read; connects with the first request.
    static Result<std::unique_ptr<Client>> open(EventLoop& loop, ClientOptions options);
    // Drops connection and waiting requests; no Done runs any more.
    ~Client();

    // `done` runs once, on the loop, never within request(); it may destroy the Client. A GET or
    // HEAD whose kept connection turns out closed before any byte of an answer is sent once more.
    void request(ClientRequest request, Done done);

    struct State;
    explicit Client(std::unique_ptr<State> state);

private:
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::http
