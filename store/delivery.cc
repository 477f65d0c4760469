// SPDX-License-Identifier: Apache-2.0
// The engine's other half: committed events on their way to the listeners. Where other processes
// write too, the listeners hear of each tenant's events in the order of its revisions, whoever made
// them: before one of ours, what others did until then is read from the table of events.
#include <limits>

#include "base/log.h"
#include "store/engine.h"
#include "store/events.h"
#include "store/feed.h"
#include "store/missed.h"

namespace cvlan::store {

namespace {

constexpr int kReadAtOnce = 500;

}  // namespace

void Engine::on_event(std::function<void(const Event&)> listener) {
    const std::lock_guard lock(events_);
    listeners_.push_back(std::move(listener));
}

Result<void> Engine::share(std::unique_ptr<Feed> feed) {
    // What comes after this moment wakes the feed, so that nothing falls between.
    auto told = read([] { return newest_revisions(work().db); });
    if (!told) return failed(told.error());
    told_ = std::move(*told);
    feed_ = std::move(feed);
    feed_->start(*this);
    return {};
}

// One thread at a time takes the committed events in their order. A listener that writes adds
// events which the loop below it, already on this thread, delivers after the present one.
void Engine::deliver() {
    if (deliverer_.load() == std::this_thread::get_id()) return;
    const std::lock_guard one(delivery_);
    deliverer_.store(std::this_thread::get_id());
    tell_committed();
    deliverer_.store({});
}

void Engine::tell_committed() {
    while (true) {
        Event event;
        {
            const std::lock_guard lock(events_);
            if (committed_.empty()) break;
            event = std::move(committed_.front());
            committed_.pop_front();
        }
        // The feed comes back to what could not be read here.
        if (auto told = tell_up_to(event); !told) {
            log::warn("store.events_unread",
                      {{"tenant", event.tenant_id}, {"reason", told.error().message}});
            feed_->fall_behind();
        }
    }
}

void Engine::tell(const Event& event) {
    std::vector<std::function<void(const Event&)>> listeners;
    {
        const std::lock_guard lock(events_);
        listeners = listeners_;
    }
    for (const auto& listener : listeners) listener(event);
}

Result<void> Engine::tell_up_to(const Event& event) {
    if (!feed_) {
        tell(event);
        return {};
    }
    if (auto others = tell_others(event.tenant_id, event.revision); !others) return others;
    Revision& told = told_[event.tenant_id];
    if (event.revision <= told) return {};
    miss(event.tenant_id, event.revision - 1);
    told = event.revision;
    tell(event);
    return {};
}

// Those below `before`, as far as they were not told yet.
Result<void> Engine::tell_others(const std::string& tenant_id, Revision before) {
    while (told_[tenant_id] + 1 < before) {
        auto events = read([&] {
            return read_events(work().db, {tenant_id, told_[tenant_id], before}, kReadAtOnce);
        });
        if (!events) return failed(events.error());
        if (events->empty()) return {};
        for (const Event& event : *events) {
            miss(tenant_id, event.revision - 1);
            told_[tenant_id] = event.revision;
            tell(event);
        }
    }
    return {};
}

// Revisions have no gaps: what is not there any more up to this one, retention has taken.
void Engine::miss(const std::string& tenant_id, Revision through) {
    Revision& told = told_[tenant_id];
    if (told >= through) return;
    log::warn("store.events_missed", {{"tenant", tenant_id}, {"events", through - told}});
    told = through;
    tell({tenant_id, through, kEventsMissed, tenant_id, {}, clock_.now()});
}

Result<void> Engine::catch_up(const std::string& tenant_id, Revision revision) {
    const std::lock_guard one(delivery_);
    if (told_[tenant_id] >= revision) return {};
    deliverer_.store(std::this_thread::get_id());
    auto told = tell_others(tenant_id, std::numeric_limits<Revision>::max());
    if (told) miss(tenant_id, revision);
    tell_committed();  // what a listener has written meanwhile
    deliverer_.store({});
    return told;
}

Result<void> Engine::catch_up_all() {
    auto newest = read([] { return newest_revisions(work().db); });
    if (!newest) return failed(newest.error());
    for (const auto& [tenant_id, revision] : *newest)
        if (auto told = catch_up(tenant_id, revision); !told) return told;
    return {};
}

}  // namespace cvlan::store
