// SPDX-License-Identifier: Apache-2.0
#pragma once

// One identity at run time: its map, its session, and what the controller has said of it. It
// decides nothing about the kernel; it says what it knows and tells the agent when that changes.
// Loop thread only.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/agent/controller.h"
#include "daemons/agent/identity.h"
#include "daemons/agent/map_life.h"
#include "daemons/agent/map_store.h"
#include "daemons/agent/reports.h"
#include "daemons/agent/traffic.h"
#include "enrolee/renewal.h"
#include "model/local.h"

namespace cvlan::agent {

namespace local = model::local;

struct NodeContext {
    EventLoop& loop;
    const Clock& clock;
    const StateDir& dir;
    std::string boot_id;
    std::function<void()> on_change;  // something that status or the plan depends on
    std::string proxy{};              // to the controller
};

class Node {
public:
    Node(NodeContext context, Identity identity);

    // The map from the disk, if there is one. A damaged one is a matter of health.
    void load_map();
    // Opens the session of an enrolled node; again after a new certificate or enrolment.
    void open_session();
    void close_session();  // while down

    Identity& identity() { return identity_; }
    const Identity& identity() const { return identity_; }
    Session* session() { return session_.get(); }
    Reports& reports() { return reports_; }
    Traffic& traffic() { return traffic_; }

    // The map to put in force: none where the controller has dropped this node; without peers where
    // the map has run out and says DROP.
    std::shared_ptr<const model::NetworkMap> map() const;
    const MapStore& store() const { return *store_; }
    const MapLife& life() const { return life_; }
    // The disk held a map that can not be used: until the controller sends one, nothing of this
    // identity may be taken away.
    bool has_lost_map() const { return has_lost_map_ && identity_.is_enrolled() && !store_->map(); }

    local::SelfState state() const;  // of a node that is wanted up
    std::vector<local::HealthItem> health() const;
    bool is_reached() const { return link_ == Link::Reached; }
    // Asks the controller at once; is_asked() once it has answered, or can not be reached.
    void ask();
    bool is_asked() const { return is_asked_; }
    // Why the controller can not be reached, or what it said; empty when all is well.
    const std::string& trouble() const { return trouble_; }
    // Something else answered in the controller's place, as a captive portal does. Nothing: nobody
    // knows.
    std::optional<bool> is_intercepted() const { return is_intercepted_; }

    // The controller takes this certificate no more: it ran out by our wall clock, or a newer one
    // is in use. The tunnels stand; only a token helps.
    bool needs_token() const;

    void tick();  // every few seconds: reports, renewal, clocks
    // The identity is saved and in force. An error is logged and a matter of health.
    Result<void> save();
    // A new enrolment is in identity(): a fresh session. The map goes on where it was in force for
    // this very node, so that no tunnel falls for it.
    void restart(bool keeps_map);
    // The controller's next answer is a full map, whatever is here.
    void ask_full() { store_->forget_revision(); }

private:
    bool took(const wire::NodeMap& answer);
    void confirmed();
    void failed_with(const Refusal& refusal);
    void renewed();
    void save_clock();
    void save_map();
    void make_store();

    enum class Link { Idle, Trying, Reached, Unreachable };

    NodeContext context_;
    Identity identity_;
    std::unique_ptr<MapStore> store_;
    MapLife life_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Session> ended_;  // outlives the callback that ended it
    Timer burial_;
    enrolee::Renewal renewal_;
    Reports reports_;
    Traffic traffic_;
    Link link_ = Link::Idle;
    std::string trouble_;
    std::optional<bool> is_intercepted_;
    std::string save_trouble_;      // of the identity
    std::string map_save_trouble_;  // of the map in force: it is tried again
    std::string clock_trouble_;
    std::string map_trouble_;
    bool is_asked_ = true;
    bool is_superseded_ = false;
    bool used_previous_map_ = false;
    bool has_lost_map_ = false;
    BootTime clock_saved_at_{};
    std::chrono::milliseconds clock_ahead_{0};  // of the controller's
};

}  // namespace cvlan::agent
