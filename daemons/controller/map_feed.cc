// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/map_feed.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/log.h"
#include "store/missed.h"

namespace cvlan::controller {

namespace {
constexpr std::chrono::milliseconds kLongestPause{30'000};
}

struct MapFeed::Inbox {
    struct Taken {
        store::Event event;
        Result<maps::Change> change;
    };
    std::mutex mutex;
    std::vector<Taken> waiting;
};

MapFeed::MapFeed(Parts parts) : parts_(std::move(parts)), inbox_(std::make_shared<Inbox>()) {}
MapFeed::~MapFeed() = default;

Result<void> MapFeed::load_all() {
    store::Filter filter;
    filter.page_size = 1000;
    do {
        auto page = parts_.store.tenants(filter);
        if (!page) return failed(page.error().while_doing("load maps"));
        for (const model::Tenant& tenant : page->items)
            if (!load(tenant.id)) catch_up(tenant.id);
        filter.page_token = page->next_page_token;
    } while (!filter.page_token.empty());
    return {};
}

void MapFeed::take(const store::Event& event) {
    auto change = maps::read_change(event, parts_.store);
    bool is_first = false;
    {
        const std::lock_guard lock(inbox_->mutex);
        is_first = inbox_->waiting.empty();
        inbox_->waiting.push_back({event, std::move(change)});
    }
    if (!is_first) return;
    parts_.loop.post([this, alive = std::weak_ptr<Inbox>(inbox_)] {
        if (alive.lock()) bring_in();
    });
}

void MapFeed::bring_in() {
    std::vector<Inbox::Taken> taken;
    {
        const std::lock_guard lock(inbox_->mutex);
        taken.swap(inbox_->waiting);
    }
    for (const Inbox::Taken& one : taken) bring_in(one.event, one.change);
}

void MapFeed::bring_in(const store::Event& event, const Result<maps::Change>& change) {
    parts_.changed(event);
    if (event.kind == store::kEventsMissed) {
        if (!event.tenant_id.empty()) catch_up(event.tenant_id);
        return;
    }
    if (!change) parts_.maps.hold_back(event.tenant_id);
    auto touched = change ? parts_.maps.apply(*change) : failed(change.error());
    if (touched) return wake(std::move(*touched));
    log::warn("maps.event_failed", {{"tenant", event.tenant_id},
                                    {"revision", event.revision},
                                    {"object", event.object_id},
                                    {"reason", touched.error().message}});
    catch_up(event.tenant_id);
}

Result<maps::Touched> MapFeed::load(const std::string& tenant_id) {
    const auto drop = [&] {  // deleted meanwhile
        parts_.maps.drop_tenant(tenant_id);
        return maps::Touched{};
    };
    // Without them each object would be left out by itself, and the nodes would drop all peers.
    // First: all that the tenant has is much to read for nothing.
    if (auto keys = parts_.keys.of(tenant_id); !keys) {
        auto tenant = parts_.store.tenant(tenant_id);
        if (!tenant && tenant.error().code == Code::NotFound) return drop();
        return failed(keys.error().while_doing("the tenant's keys"));
    }
    auto inputs = parts_.store.map_inputs(tenant_id);
    if (!inputs && inputs.error().code == Code::NotFound) return drop();
    if (!inputs) return failed(inputs.error());
    return parts_.maps.load(tenant_id, parts_.store.epoch(), *inputs);
}

void MapFeed::catch_up(const std::string& tenant_id) {
    auto touched = load(tenant_id);
    if (touched) {
        behind_.erase(tenant_id);
        log::info("maps.loaded_anew", {{"tenant", tenant_id}, {"nodes", touched->nodes.size()}});
        return wake(std::move(*touched));
    }
    parts_.maps.hold_back(tenant_id);
    if (!behind_.insert(tenant_id).second) return;
    log::error("maps.not_loaded", {{"tenant", tenant_id}, {"reason", touched.error().message}});
    pause_ = parts_.retry_after;
    try_again();
}

void MapFeed::try_again() {
    retry_ = parts_.loop.after(pause_, [this] {
        pause_ = std::min(pause_ * 2, kLongestPause);
        for (const std::string& tenant : std::set<std::string>(behind_)) catch_up(tenant);
        if (!behind_.empty()) try_again();
    });
}

void MapFeed::wake(maps::Touched touched) {
    if (touched.empty()) return;
    parts_.loop.post([this, alive = std::weak_ptr<Inbox>(inbox_), touched = std::move(touched)] {
        if (alive.lock()) parts_.wake(touched);
    });
}

}  // namespace cvlan::controller
