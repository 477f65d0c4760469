// SPDX-License-Identifier: Apache-2.0
#pragma once

// Leaving HTTP (RFC 9110 section 7.8): what there is then on either side, and a client's way there.
// A server's is Reply::upgrade().

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/event_loop.h"
#include "base/ip.h"
#include "base/secret.h"
#include "base/unique_fd.h"
#include "http/message.h"
#include "http/tls.h"
#include "http/tls_context.h"
#include "http/tunnel.h"

namespace cvlan::http {

// A connection behind its last HTTP message. The socket does not block.
struct Upgraded {
    UniqueFd fd;
    SslPtr ssl;   // null on a plain one; it may hold bytes that came and that nobody has read
    Bytes ahead;  // before those: what the other side sent behind its head, decrypted
};
using Leave = std::function<void(Upgraded)>;

// A client's one attempt: connects, asks a proxy to connect where there is one (RFC 9110 section
// 9.3.6), checks the server's certificate, asks for the upgrade, and reads the answer. Calls back
// once, from the loop, never within the constructor; destroying it calls it off.
struct UpgradeTarget {
    std::string server_name;           // that the certificate must match; also SNI and Host
    std::vector<Address> addresses{};  // tried as by http::Client; a proxy is told the first
    uint16_t port = 443;
    std::shared_ptr<const ClientTls> tls{};
    std::optional<ProxyTarget> proxy{};
    uint32_t fwmark = 0;
    std::string path = "/";
    Headers headers{};  // Upgrade and what goes with it; Connection is added
    std::chrono::milliseconds timeout{10'000};  // for all of it
};

// Of an error that is an answer other than 101: Error::reason.
inline constexpr const char* kNotUpgraded = "NOT_UPGRADED";

class UpgradeAttempt {
public:
    // With the 101 answer's head. Errors: Unavailable; Denied (TLS, a proxy's 403 or 407);
    // an answer of the server that is no 101 has kNotUpgraded as its reason.
    using Done = std::function<void(Result<std::pair<Upgraded, Response>>)>;
    UpgradeAttempt(EventLoop& loop, UpgradeTarget target, Done done);
    ~UpgradeAttempt();
    UpgradeAttempt(const UpgradeAttempt&) = delete;
    UpgradeAttempt& operator=(const UpgradeAttempt&) = delete;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::http
