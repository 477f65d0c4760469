// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/agent/config.h"
#include "daemons/agent/identity.h"
#include "daemons/agent/nat64.h"
#include "daemons/agent/path_sockets.h"
#include "daemons/agent/port_maps.h"
#include "ike/keeper.h"
#include "reach/way.h"
#include "reconcile/host.h"

namespace cvlan::agent {

// What the agent stands on; tests give it a FakeHost and an underlay of their own.
struct AgentParts {
    EventLoop& loop;
    const Clock& clock;
    AgentConfig config;
    StateDir dir;
    std::unique_ptr<reconcile::Host> host;
    std::function<Result<reach::Underlay>()> read_underlay;
    std::function<uint16_t(uint16_t first, const std::vector<uint16_t>& used)> free_port;
    std::unique_ptr<PathSockets> sockets{};  // none: paths are tried by the kernel alone
    std::function<Result<std::optional<Gateway>>()> read_gateway{};  // none: no port is mapped
    AskNat64 ask_nat64{};                                            // none: no NAT64 is looked for
    std::function<bool()> leads_v4{};  // a route to everywhere by IPv4; set with ask_nat64
    // Speaks with charon, and calls when something is other than before; none: no IPsec.
    std::function<std::unique_ptr<ike::Keeper>(std::function<void()> on_round)> make_keeper{};
    // Tells of each packet of a network over IPsec that waits for a tunnel, while what it gives
    // lives; it gives nothing where the kernel can not tell. None: nobody is told.
    using Waits = std::function<void(const Address& to)>;
    std::function<std::shared_ptr<void>(Waits waits)> watch_tunnels{};
};

}  // namespace cvlan::agent
