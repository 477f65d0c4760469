// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/pairing.h"

#include <algorithm>

#include "stun/builder.h"

namespace cvlan::agent {

static constexpr size_t kMostNonce = 64;  // the relay's has 16

// The place of before stands until READY names another or the relay ends it: a relay that was
// started anew goes on forwarding.
void Pairing::offered(const relay::Offer& offer, BootTime now) {
    offer_ = Kept{offer.bind_id, offer.secret.clone()};
    ways_.clear();
    for (const Address& address : offer.addresses)
        ways_.push_back({.to = {address, offer.port}, .due = now});
}

void Pairing::ready(const Endpoint& at, BootTime now) {
    place_ = at;
    for (Way& way : ways_) way.due = now + kKeep;
}

void Pairing::ended() { *this = Pairing(); }

void Pairing::network_changed(BootTime now) {
    for (Way& way : ways_) {
        way.sent = 0;
        way.due = now;
    }
}

std::vector<Pairing::Bind> Pairing::step(BootTime now) {
    std::vector<Bind> binds;
    if (!offer_) return binds;
    for (Way& way : ways_) {
        if (now < way.due) continue;
        way.transaction = stun::random_transaction();
        std::array<uint8_t, stun::kMostMessage> buffer;
        stun::Builder builder(buffer, stun::Class::Request, stun::Method::Bind, way.transaction);
        builder.username(hex(offer_->id));
        if (!way.nonce.empty()) builder.nonce(way.nonce);
        const auto request = builder.integrity(offer_->secret.bytes()).fingerprint().finish();
        if (!request) return binds;  // it always fits
        binds.push_back({way.to, {request->begin(), request->end()}});
        ++way.sent;
        way.due = now + (way.sent <= kSoonTimes ? kSoon : way.sent <= kTimes ? kLater : kKeep);
    }
    return binds;
}

BootTime Pairing::deadline() const {
    BootTime due = BootTime::max();
    for (const Way& way : ways_) due = std::min(due, way.due);
    return offer_ ? due : BootTime::max();
}

bool Pairing::answered(const Endpoint& from, const stun::Message& message, BootTime now) {
    if (!offer_ || message.method() != stun::Method::Bind) return false;
    const auto way = std::find_if(ways_.begin(), ways_.end(), [&](const Way& one) {
        return one.to == from && one.transaction == message.transaction();
    });
    if (way == ways_.end() || !message.is_authentic(offer_->secret.bytes())) return false;
    const auto nonce = message.nonce().value_or("");
    if (message.message_class() == stun::Class::Error && !nonce.empty()) {
        way->nonce = nonce.substr(0, kMostNonce);
        const bool is_often = way->repeated_at && now - *way->repeated_at < kSoon;
        if (!is_often) way->repeated_at = way->due = now;
        return true;
    }
    // Once the pair is ready an answer says that it stands; until then READY may have been lost.
    if (message.message_class() == stun::Class::Success && place_) {
        way->sent = 0;
        way->due = now + kKeep;
    }
    return true;
}

}  // namespace cvlan::agent
