// SPDX-License-Identifier: Apache-2.0
#include "store/engine.h"

namespace cvlan::store {

void Engine::on_event(std::function<void(const Event&)> listener) {
    const std::lock_guard lock(mutex_);
    listeners_.push_back(std::move(listener));
}

// One thread at a time takes the committed events in their order. A listener that writes adds
// events which the loop below it, already on this thread, delivers after the present one.
void Engine::deliver() {
    if (deliverer_.load() == std::this_thread::get_id()) return;
    const std::lock_guard one(delivery_);
    deliverer_.store(std::this_thread::get_id());
    while (true) {
        Event event;
        std::vector<std::function<void(const Event&)>> listeners;
        {
            const std::lock_guard lock(mutex_);
            if (committed_.empty()) break;
            event = std::move(committed_.front());
            committed_.pop_front();
            listeners = listeners_;
        }
        for (const auto& listener : listeners) listener(event);
    }
    deliverer_.store({});
}

}  // namespace cvlan::store
