// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kind_wireguard.h"

#include <endian.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "reconcile/desired.h"
#include "reconcile/kernel.h"
#include "reconcile/observed.h"
#include "reconcile/step.h"

namespace cvlan::reconcile {

namespace {

uint64_t word_of(const uint8_t* bytes) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return be64toh(word);
}

// As memcmp() does, but inline: it is asked for each peer in each round.
std::strong_ordering compare(const wg::PublicKey& a, const wg::PublicKey& b) {
    for (size_t i = 0; i < wg::kKeySize; i += sizeof(uint64_t)) {
        const uint64_t left = word_of(a.bytes().data() + i);
        const uint64_t right = word_of(b.bytes().data() + i);
        if (left != right) return left <=> right;
    }
    return std::strong_ordering::equal;
}

// A peer and the first bytes of its key as a number: most comparisons end there.
struct Keyed {
    uint64_t head = 0;
    const wg::Peer* peer = nullptr;
};

// The kernel keeps peers in the order in which they came. Sorting pointers, and only where needed:
// this is done in every round, with every peer.
std::vector<Keyed> by_key(const std::vector<wg::Peer>& peers) {
    std::vector<Keyed> sorted;
    sorted.reserve(peers.size());
    for (const wg::Peer& peer : peers)
        sorted.push_back({word_of(peer.public_key.bytes().data()), &peer});
    const auto less = [](const Keyed& a, const Keyed& b) {
        if (a.head != b.head) return a.head < b.head;
        return compare(a.peer->public_key, b.peer->public_key) < 0;
    };
    if (!std::is_sorted(sorted.begin(), sorted.end(), less))
        std::sort(sorted.begin(), sorted.end(), less);
    return sorted;
}

// Inline, too: in a round without change these are most of the comparisons.
bool same(const Prefix& a, const Prefix& b) {
    if (a.length() != b.length() || a.family() != b.family()) return false;
    const ByteView left = a.address().bytes();
    const ByteView right = b.address().bytes();
    for (size_t i = 0; i < left.size(); i += sizeof(uint32_t)) {
        uint32_t one;
        uint32_t other;
        std::memcpy(&one, left.data() + i, sizeof one);
        std::memcpy(&other, right.data() + i, sizeof other);
        if (one != other) return false;
    }
    return true;
}

bool same_prefixes(const std::vector<Prefix>& sorted, const std::vector<Prefix>& found) {
    if (sorted.size() != found.size()) return false;
    if (std::equal(sorted.begin(), sorted.end(), found.begin(), same)) return true;
    std::vector<Prefix> copy = found;
    std::sort(copy.begin(), copy.end());
    return sorted == copy;
}

// What to change about a peer that is there; nothing if it is as wanted. Only what we own: where
// it is (unless reach wants it moved), when it was heard of and what it sent are not ours.
std::optional<SetPeer> change_of(const std::string& device, const WgPeer& want,
                                 const wg::Peer& have) {
    const bool allowed = !same_prefixes(want.allowed_ips, have.allowed_ips);
    const bool keepalive = want.keepalive_seconds != have.keepalive_seconds;
    const bool preshared = !have.preshared_key.empty();
    const bool endpoint =
        want.endpoint && want.endpoint != have.endpoint && (want.move_endpoint || !have.endpoint);
    if (!allowed && !keepalive && !preshared && !endpoint) return std::nullopt;
    SetPeer step{.device = device, .key = want.key};
    if (allowed) step.allowed_ips = want.allowed_ips;
    if (endpoint) step.endpoint = want.endpoint;
    if (keepalive) step.keepalive_seconds = want.keepalive_seconds;
    step.drop_preshared_key = preshared;
    return step;
}

void diff_device(const WgDevice& want, const wg::Device* have, Changes& changes) {
    SetDevice step{.device = want.device};
    if (have == nullptr || have->public_key != want.key.public_key()) step.key = want.key;
    if (have == nullptr || have->listen_port != want.listen_port)
        step.listen_port = want.listen_port;
    if (have == nullptr || have->fwmark != want.fwmark) step.fwmark = want.fwmark;
    if (step.key || step.listen_port || step.fwmark) changes.sets.push_back(std::move(step));
}

void diff_peers(const WgDevice& want, const std::vector<wg::Peer>& have, Changes& changes) {
    // A peer which the kernel holds as wanted is not touched: writing the device anew with
    // REPLACE_PEERS would drop live sessions and cost every host a handshake.
    const auto order = [](const WgPeer& a, const Keyed& b) {
        return compare(a.key, b.peer->public_key);
    };
    merge(want.peers, by_key(have), order, [&](const WgPeer* wanted, const Keyed* found) {
        if (found == nullptr) {
            changes.sets.push_back(new_peer(want.device, *wanted));
        } else if (wanted == nullptr) {
            // Removals come last, so that a prefix which leaves a removed peer has been
            // taken over by its new owner.
            changes.removals.push_back(RemovePeer{want.device, found->peer->public_key});
        } else if (auto change = change_of(want.device, *wanted, *found->peer)) {
            changes.sets.push_back(std::move(*change));
        }
    });
}

// The observed device which is, or will by then have become, the wanted one.
const wg::Device* observed_as(const std::string& device, const Desired& want,
                              const Observed& have) {
    for (const Link& link : want.links) {
        if (link.device != device) continue;
        const ObservedLink* found = have.link_of(link);
        return found != nullptr ? have.wireguard_device(found->device) : nullptr;
    }
    return nullptr;
}

std::string join(const std::vector<Prefix>& prefixes) {
    std::string joined;
    for (const Prefix& prefix : prefixes) {
        if (!joined.empty()) joined += ',';
        joined += prefix.text();
    }
    return joined.empty() ? "none" : joined;
}

}  // namespace

Result<DeviceKey> DeviceKey::of(wg::PrivateKey key) {
    auto public_key = wg::public_key_of(key);
    if (!public_key) return failed(public_key.error());
    DeviceKey made;
    made.private_key_ = std::move(key);
    made.public_key_ = *public_key;
    return made;
}

SetPeer new_peer(const std::string& device, const WgPeer& peer) {
    return {.device = device,
            .key = peer.key,
            .is_new = true,
            .allowed_ips = peer.allowed_ips,
            .endpoint = peer.endpoint,
            .keepalive_seconds = peer.keepalive_seconds};
}

std::string text(const SetDevice& step) {
    std::string line = "set wireguard " + step.device;
    if (step.key) line += " key " + step.key->public_key().text();
    if (step.listen_port) line += fmt::format(" port {}", *step.listen_port);
    if (step.fwmark) line += fmt::format(" fwmark {:#x}", *step.fwmark);
    return line;
}

std::string text(const SetPeer& step) {
    std::string line = fmt::format("set peer {} {}", step.device, step.key.text());
    if (step.allowed_ips) line += " allowed " + join(*step.allowed_ips);
    if (step.endpoint) line += " endpoint " + step.endpoint->text();
    if (step.keepalive_seconds && (*step.keepalive_seconds != 0 || !step.is_new))
        line += fmt::format(" keepalive {}", *step.keepalive_seconds);
    if (step.drop_preshared_key) line += " without preshared key";
    return line;
}

std::string text(const RemovePeer& step) {
    return fmt::format("remove peer {} {}", step.device, step.key.text());
}

wg::PeerChange change_of(const SetPeer& step) {
    wg::PeerChange change;
    change.public_key = step.key;
    // One which has gone meanwhile must not come back as a peer with half of its settings.
    change.update_only = !step.is_new;
    change.endpoint = step.endpoint;
    change.keepalive_seconds = step.keepalive_seconds;
    change.allowed_ips = step.allowed_ips;
    if (step.drop_preshared_key) change.preshared_key = wg::PresharedKey();
    return change;
}

wg::PeerChange change_of(const RemovePeer& step) {
    wg::PeerChange change;
    change.public_key = step.key;
    change.remove = true;
    return change;
}

Result<void> apply(Kernel& kernel, const SetDevice& step) {
    if (auto index = kernel.index_of(step.device); !index) return failed(index.error());
    wg::DeviceChange change;
    if (step.key) change.private_key = step.key->private_key().clone();
    change.listen_port = step.listen_port;
    change.fwmark = step.fwmark;
    return kernel.wireguard().change_device(step.device, change);
}

Result<void> apply(Kernel& kernel, const SetPeer& step) {
    if (auto index = kernel.index_of(step.device); !index) return failed(index.error());
    return kernel.wireguard().change_peer(step.device, change_of(step));
}

Result<void> apply(Kernel& kernel, const RemovePeer& step) {
    if (auto index = kernel.index_of(step.device); !index) return failed(index.error());
    return kernel.wireguard().change_peer(step.device, change_of(step));
}

void diff_wireguard(const Desired& want, const Observed& have, Changes& changes) {
    static const std::vector<wg::Peer> kNone;
    for (const WgDevice& device : want.wireguard) {
        if (have.is_device_taken(device.device)) continue;
        const wg::Device* found = observed_as(device.device, want, have);
        diff_device(device, found, changes);
        diff_peers(device, found != nullptr ? found->peers : kNone, changes);
    }
}

Result<void> observe_wireguard(Kernel& kernel, const Desired&, Observed& have) {
    for (const ObservedLink& link : have.links) {
        if (link.if_id != 0) continue;
        auto device = kernel.wireguard().device(link.device);
        // Gone since the links were listed: the round plans on what was there.
        if (!device && device.error().code == Code::NotFound) continue;
        if (!device) return failed(device.error());
        device->private_key = wg::PrivateKey();
        have.wireguard.push_back(std::move(*device));
    }
    return {};
}

}  // namespace cvlan::reconcile
