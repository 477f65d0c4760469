// SPDX-License-Identifier: Apache-2.0
#pragma once

// Keeps the maps level with the store. Whoever writes hands each event over after its commit and
// before it gives its answer; the session role's loop, which the maps belong to, brings it in: by
// itself, and before each request of a node, so that no node sees less than what was acknowledged
// to somebody before it asked. Where bringing in fails, the tenant's maps are loaded anew, which
// gives every node of it a full one; where that fails too, its nodes get no answer (503) and it is
// tried again, after a second and ever more seldom, until it holds. All but take() is for the
// loop's thread.

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "api/keyring.h"
#include "base/event_loop.h"
#include "maps/maps.h"
#include "store/store.h"

namespace cvlan::controller {

class MapFeed {
public:
    struct Parts {
        EventLoop& loop;
        store::Store& store;
        maps::Maps& maps;
        api::KeyRing& keys;
        // Whose map has changed. Runs on the loop's next turn, so that the writer's answer goes
        // first.
        std::function<void(const maps::Touched&)> wake;
        std::chrono::milliseconds retry_after{1000};
        // Runs before the change is in the maps.
        std::function<void(const store::Event&)> changed = [](const store::Event&) {};
    };
    explicit MapFeed(Parts parts);
    ~MapFeed();

    // Every tenant, at start. Fails where they can not be listed; a tenant that can not be loaded
    // keeps none of the others from it.
    Result<void> load_all();
    // From any thread, which reads what changed: the loop never waits for the database here.
    void take(const store::Event& event);
    void bring_in();  // what was taken since

private:
    struct Inbox;
    void bring_in(const store::Event& event, const Result<maps::Change>& change);
    Result<maps::Touched> load(const std::string& tenant_id);
    void catch_up(const std::string& tenant_id);
    void try_again();
    void wake(maps::Touched touched);

    Parts parts_;
    std::shared_ptr<Inbox> inbox_;
    std::set<std::string> behind_;  // tenants whose maps are not what the store holds
    std::chrono::milliseconds pause_{0};
    Timer retry_;
};

}  // namespace cvlan::controller
