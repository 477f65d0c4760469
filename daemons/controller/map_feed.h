// SPDX-License-Identifier: Apache-2.0
#pragma once

// Keeps the maps level with the store: each event is brought in after its commit, before the writer
// gets its answer. Where that fails, the tenant's maps are loaded anew, which gives every node of
// it a full one; where that fails too, its nodes get no answer (503) and it is tried again every
// second until it holds. Loop thread only.

#include <chrono>
#include <functional>
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
    };
    explicit MapFeed(Parts parts) : parts_(std::move(parts)) {}

    // Every tenant, at start. Fails where they can not be listed; a tenant that can not be loaded
    // keeps none of the others from it.
    Result<void> load_all();
    void take(const store::Event& event);

private:
    Result<maps::Touched> load(const std::string& tenant_id);
    void catch_up(const std::string& tenant_id);
    void wake(maps::Touched touched);

    Parts parts_;
    std::set<std::string> behind_;  // tenants whose maps are not what the store holds
    Timer retry_;
};

}  // namespace cvlan::controller
