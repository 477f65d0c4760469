// SPDX-License-Identifier: Apache-2.0
#pragma once

// A relay's TLS side (README.md): takes sessions of the tenants that it serves, and forwards
// packets between those of one tenant and network. One loop; all calls are made on its thread. A
// turn of the loop reads at most 64 KiB from each client that has something to say, then sends what
// waits, so that none is served at the cost of another.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "http/server.h"
#include "relay/directory.h"
#include "relay/frame.h"
#include "relay/grant.h"

namespace cvlan::relay {

struct ServerLimits {
    size_t sessions = 16'000;  // in all; a descriptor each
    TenantLimits tenant{};
    size_t queue_bytes = size_t{128} * 1024;          // that wait for one slow client
    size_t queue_memory = size_t{256} * 1024 * 1024;  // that wait for all
    size_t busy_sessions = 1'000;                     // that keep OpenSSL's buffers, 33 KiB each
    std::chrono::seconds silence{90};
    std::chrono::milliseconds sweep{5'000};  // how often that, and the end of grants, is looked for
};

// UDP relaying, as a server sees it. What it has to say to a session goes through Server::tell().
class PairDesk {
public:
    // A session, and the grant it holds for a pair's own key.
    struct Asker {
        uint64_t session = 0;
        std::string_view tenant_id{};
        std::string_view node_id{};
        std::string_view network_id{};
        WallTime expires_at{};
    };
    virtual void pair(const Asker& asker, const PairOf& pair) = 0;
    virtual void unpair(const Asker& asker, const PairOf& pair) = 0;
    // The grant is a new one, of a later end.
    virtual void granted(const Asker& asker, const Key& own) = 0;
    // Nodes were barred, or (null) the tenant is served here no more.
    virtual void trust_changed(std::string_view tenant_id, const TenantTrust* trust) = 0;

protected:
    ~PairDesk() = default;
};

struct ServerOptions {
    Endpoint at{};
    http::TlsServerNames tls{};  // by the server names of `tenants`
    std::vector<TenantTrust> tenants{};
    ServerLimits limits{};
    http::Limits http{};  // before the upgrade
    std::vector<Prefix> proxies{};
    std::vector<Endpoint> stun{};  // told by HELLO
};

struct ServerStats {
    size_t sessions = 0;
    size_t keys = 0;
    size_t busy = 0;  // sessions that keep their buffers
    uint64_t sessions_begun = 0;
    uint64_t sessions_refused = 0;
    uint64_t grants = 0;
    uint64_t grants_refused = 0;
    uint64_t packets = 0;        // delivered to a queue
    uint64_t bytes = 0;          // of their payload
    uint64_t dropped_queue = 0;  // the oldest that waited for a slow client
    uint64_t dropped_memory = 0;
    uint64_t dropped_limit = 0;  // of a tenant's rate
    uint64_t dropped_not_here = 0;
    uint64_t dropped_no_grant = 0;
};

class Server {
public:
    static Result<std::unique_ptr<Server>> listen(EventLoop& loop, const Clock& clock,
                                                  ServerOptions options);
    ~Server();

    Endpoint endpoint() const;
    // Of new connections.
    Result<void> update_tls(const http::TlsServerNames& tls);
    // Instead of those of before: sessions of a tenant that is gone end, and so do those of barred
    // nodes, within this call.
    void set_tenants(std::vector<TenantTrust> tenants);
    void set_pair_desk(PairDesk* desk);         // nullptr: PAIR is refused
    void set_stun(std::vector<Endpoint> stun);  // in the HELLO of sessions from now on

    // False: that session is over.
    bool tell(uint64_t session, ByteView frames);

    // Says LEAVING to all and closes; `done` when no connection is left.
    void drain(std::function<void()> done);
    ServerStats stats() const;
    http::Server::Stats http_stats() const;

    struct State;
    explicit Server(std::unique_ptr<State> state);

private:
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::relay
