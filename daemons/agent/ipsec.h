// SPDX-License-Identifier: Apache-2.0
#pragma once

// charon, as the agent's loop sees it: what is wanted goes to the Keeper's thread, and what it has
// is shown, by peer and network. Belongs to the loop's thread.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/agent/controller.h"
#include "daemons/agent/tunnels.h"
#include "ike/keeper.h"
#include "model/local.h"

namespace cvlan::agent {

namespace local = model::local;

class Ipsec {
public:
    struct Parts {
        EventLoop& loop;
        const Clock& clock;
        std::function<std::unique_ptr<ike::Keeper>(std::function<void()> on_round)> make_keeper{};
        // Tells of each packet that waits for a tunnel, while what it gives lives.
        using Waits = std::function<void(const Address& to)>;
        std::function<std::shared_ptr<void>(Waits waits)> watch{};
        std::function<void()> on_news{};  // on the loop; something is other than before
        Waits on_packet{};
    };
    explicit Ipsec(Parts parts);

    // Nobody speaks with charon on a machine that has never had anything over IPsec, now and
    // before: `is_wanted`. `trouble` is why not all could be told; empty: it was.
    void follow(std::shared_ptr<const ike::Wanted> want, bool is_wanted, std::string trouble);

    bool is_used() const { return keeper_ != nullptr; }
    bool has_seen() const { return has_seen_; }  // charon has told once which tunnels stand
    void look();                                 // charon again, now
    std::shared_ptr<const ike::Status> status() const {
        return is_used() ? keeper_->status() : nullptr;
    }
    TunnelPaths& paths() { return paths_; }
    const TunnelPaths& paths() const { return paths_; }
    void add_health(std::vector<local::HealthItem>& items) const;

    // Asks charon now; `done` is called on the loop, once. Unavailable: there is none.
    void ask(ike::Ask::What what, const std::string& connection,
             std::function<void(Answer<uint32_t>)> done);

private:
    Parts parts_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for calls from keeper_'s thread
    bool is_wanted_ = false;
    bool has_seen_ = false;
    std::string trouble_{};
    TunnelPaths paths_{};
    std::shared_ptr<void> watch_;
    std::unique_ptr<ike::Keeper> keeper_;

    void round_ended();
};

// A row of what `cvlanctl ipsec list` shows.
struct TunnelOf {
    const std::string& network_id;
    const model::MapNetwork& network;
    const model::MapPeer& peer;
};
local::IpsecTunnel tunnel_row(const TunnelOf& of, const TunnelsSeen& tunnels);

}  // namespace cvlan::agent
