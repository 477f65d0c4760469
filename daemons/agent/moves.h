// SPDX-License-Identifier: Apache-2.0
#pragma once

// By which of its network's two devices each peer is reached, and how a peer goes from one to the
// other when that changes: the new tunnel is set up beside the old one, the peer's own routes move
// once it stands at both ends, and the old one goes on taking what the other end still sends there.
// So a network that changes its data plane, or a node its tags, loses nothing that both ends could
// carry. Pure, but for what it remembers; an agent that starts finds it in the kernel.

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "model/network_map.h"
#include "reconcile/desired.h"
#include "reconcile/observed.h"

namespace cvlan::agent {

using reconcile::Carrier;

// Then it moves although no new tunnel stands: where no old one stands either, and so nothing can
// be lost (an agent that starts has to look for it first); and where one does, since the map is to
// hold at last.
inline constexpr std::chrono::seconds kMovePatience{5};
inline constexpr std::chrono::seconds kMoveAtLast{180};
// Of the old one, since something last came by it: the other end moves at another time. And since
// this end has left it.
inline constexpr std::chrono::seconds kOldTunnelLife{20};
inline constexpr std::chrono::seconds kOldTunnelMost{180};

// What a network's map says.
Carrier carrier_of(const model::MapNetwork& network, const model::MapPeer& peer);
Carrier carrier_of(const model::MapNetwork& network);  // of its prefixes

class Moves {
public:
    struct Peer {
        Carrier route = Carrier::Wireguard;
        bool on_wireguard = false;
        bool on_ipsec = false;
        bool is_moving = false;   // to the other one than `route`
        bool is_awaited = false;  // whose tunnel is to be set up, as the old one stands
    };
    struct Network {
        Carrier prefixes = Carrier::Wireguard;
        std::map<std::string, Peer> peers{};  // by node id
        bool has(Carrier carrier) const;
    };
    // One to a peer, as far as was seen last.
    struct Tunnel {
        bool stands = false;
        uint64_t taken = 0;  // bytes that came by it
    };
    struct From {
        const model::MapNetwork& network;
        uint32_t index = 0;
        const reconcile::Observed& seen;  // of the last round of everything
        std::function<Tunnel(const model::MapPeer&, Carrier)> tunnel{};
        BootTime now{};
        bool may_move = true;  // without it nobody does, as in a look at what would be done
    };

    Network look(const From& from);
    // As the last look had it; nothing before the first.
    const Network* of(const std::string& network_id) const;
    // What is not in `map` of its networks is forgotten.
    void keep_only(const std::function<bool(const std::string& network_id)>& is_wanted);
    bool is_moving() const;     // somebody is: look again soon
    bool is_lingering() const;  // an old tunnel is still there

private:
    struct Left {
        BootTime at{};
        BootTime heard_at{};
        uint64_t taken = 0;
    };
    struct Way {
        Carrier route = Carrier::Wireguard;
        std::optional<BootTime> moving_since{};
        bool is_awaited = false;
        std::optional<Left> left{};  // the other one
    };
    struct Known {
        Network last{};
        std::map<std::string, Way> ways{};
    };
    static Known adopt(const From& from);
    static void step(Way& way, const From& from, const model::MapPeer& peer);

    std::map<std::string, Known> networks_;
};

}  // namespace cvlan::agent
