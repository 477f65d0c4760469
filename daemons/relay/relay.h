// SPDX-License-Identifier: Apache-2.0
#pragma once

// The wiring of a relay: its tenants, and what serves them. TLS is served as soon as one tenant's
// certificate is there; who is barred, and where the world finds this relay, comes with the maps.
// Loop thread only.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/relay/config.h"
#include "daemons/relay/membership.h"
#include "http/server.h"
#include "relay/pair_host.h"
#include "relay/stun_server.h"

namespace cvlan::relayd {

class Relay {
public:
    // `host` null: no UDP relaying on this machine. NotFound: there is no identity to serve.
    static Result<std::unique_ptr<Relay>> start(EventLoop& loop, const Clock& clock,
                                                RelayConfig config,
                                                std::unique_ptr<relay::PairHost> host);
    ~Relay();

    Endpoint endpoint() const { return server_->endpoint(); }
    std::optional<Endpoint> metrics_endpoint() const;
    // Tells the sessions, and closes; pairs go on in the kernel.
    void drain(std::function<void()> done);

private:
    Relay(EventLoop& loop, const Clock& clock, RelayConfig config, StateDir dir,
          std::unique_ptr<relay::PairHost> host);
    Result<void> listen();
    Result<void> listen_udp();
    Result<void> listen_metrics();
    void apply();
    http::TlsServerNames names() const;
    std::vector<relay::TenantTrust> tenants() const;
    std::vector<Address> addresses() const;
    bool is_ready() const;
    std::string metrics() const;

    EventLoop& loop_;
    const Clock& clock_;
    RelayConfig config_;
    StateDir dir_;
    std::unique_ptr<relay::PairHost> host_;
    std::vector<std::unique_ptr<Membership>> members_;
    std::unique_ptr<relay::Server> server_;
    std::unique_ptr<relay::StunServer> stun_;
    std::unique_ptr<relay::Pairs> pairs_;
    std::unique_ptr<http::Server> metrics_server_;
    Timer sweeping_;
    Timer looking_;
    Timer applying_;
};

}  // namespace cvlan::relayd
