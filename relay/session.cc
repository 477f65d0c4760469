// SPDX-License-Identifier: Apache-2.0
#include "relay/session.h"

#include <algorithm>
#include <array>

namespace cvlan::relay {

struct Session::Told {
    static constexpr size_t kKeys = 8;
    std::array<Key, kKeys> keys;
    std::array<std::chrono::milliseconds, kKeys> at{};
    size_t next = 0;
};

Session::Session(EventLoop& loop, Owner& owner, Shared& shared, Who who, http::Upgraded upgraded)
    : Channel(loop, shared, who.framing, std::move(upgraded)),
      owner_(owner),
      who_(std::move(who)) {}
Session::~Session() = default;

// Of who asks for more keys that are not here than there are places, each place is used once a
// second.
bool Session::may_tell_gone(const Key& key, std::chrono::milliseconds now) {
    if (!told_) told_ = std::make_unique<Told>();
    const auto known = std::find(told_->keys.begin(), told_->keys.end(), key);
    auto index = static_cast<size_t>(known - told_->keys.begin());
    if (index == Told::kKeys) index = std::exchange(told_->next, (told_->next + 1) % Told::kKeys);
    auto& last = told_->at[index];
    if (last.count() > 0 && now - last < std::chrono::seconds(1)) return false;
    told_->keys[index] = key;
    last = std::max(now, std::chrono::milliseconds(1));
    return true;
}

}  // namespace cvlan::relay
