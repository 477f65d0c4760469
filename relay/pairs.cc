// SPDX-License-Identifier: Apache-2.0
#include "relay/pairs.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <bitset>

#include "base/bytes.h"
#include "base/hmac.h"
#include "base/log.h"
#include "relay/pair_parts.h"
#include "stun/builder.h"

namespace cvlan::relay {

using namespace std::chrono_literals;

namespace {

constexpr auto kFamilyGrace = 5s;  // for the bind of the second family
constexpr int kOtherPorts = 8;     // tried where somebody else has one
constexpr auto kNonceSlot = 2min;  // a nonce is good in its slot and the next
constexpr size_t kNonceBytes = 8;
constexpr uint16_t kStaleNonce = 438;  // RFC 8489 section 14.8

int64_t slot_of(BootTime now) { return now / kNonceSlot; }

bool is_same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

BindId bind_id_of(std::string_view username) {
    BindId id{};
    const auto bytes = from_hex(username);
    if (bytes && bytes->size() == id.size()) std::copy(bytes->begin(), bytes->end(), id.begin());
    return id;
}

}  // namespace

PairId pair_id(std::string_view tenant_id, const PairOf& pair) {
    Bytes text(tenant_id.begin(), tenant_id.end());
    for (const Key& key : {std::min(pair.own, pair.peer), std::max(pair.own, pair.peer)})
        text.insert(text.end(), key.bytes().begin(), key.bytes().end());
    const Bytes hash = sha256(text);
    PairId id{};
    std::copy_n(hash.begin(), id.size(), id.begin());
    return id;
}

Pairs::Pairs(const Clock& clock, PairHost& host, Hooks hooks, std::vector<Address> addresses,
             PairLimits limits)
    : clock_(clock),
      host_(host),
      hooks_(std::move(hooks)),
      addresses_(std::move(addresses)),
      limits_(limits),
      nonce_key_(random_bytes(32)) {}

// What the kernel forwards goes on.
Pairs::~Pairs() = default;

Result<void> Pairs::adopt() {
    auto found = host_.pairs();
    if (!found) return failed(found.error());
    adopted_until_ = clock_.since_boot() + kPairLife;
    for (const PairCount& one : *found) {
        // Held, so that nobody else takes it: that would end what goes through it.
        if (auto open = hooks_.open_port(one.pair.port); !open) {
            log::warn("relay.port_taken",
                      {{"port", one.pair.port}, {"error", open.error().message}});
            continue;
        }
        hold_port(one.pair.port);
        adopted_.push_back(one.pair);
    }
    return {};
}

std::optional<ForwardedPair> Pairs::take_adopted(const PairId& id, Family family) {
    const auto found = std::find_if(adopted_.begin(), adopted_.end(), [&](const auto& one) {
        return one.id == id && one.first.address.family() == family;
    });
    if (found == adopted_.end()) return std::nullopt;
    const ForwardedPair taken = *found;
    adopted_.erase(found);
    release_port(taken.port);
    return taken;
}

Pairs::Pair* Pairs::find(std::string_view tenant_id, const PairOf& pair) {
    const auto found = pairs_.find(pair_id(tenant_id, pair));
    return found == pairs_.end() ? nullptr : found->second.get();
}

void Pairs::release_port(uint16_t port) {
    const auto held = held_.find(port);
    if (--held->second > 0) return;
    held_.erase(held);
    hooks_.close_port(port);
}

// The first that neither key has: so the fewest ports are open, and the address, the port and p
// name a pair.
Result<uint16_t> Pairs::take_port(const PairId& id, const std::string& tenant_id,
                                  const PairOf& pair) {
    auto& own = ports_of_[{tenant_id, pair.own}];
    auto& peer = ports_of_[{tenant_id, pair.peer}];
    const auto is_free = [&](uint16_t port) { return !own.contains(port) && !peer.contains(port); };
    const auto take = [&](uint16_t port) {
        own[port] = peer[port] = nullptr;
        hold_port(port);
        return port;
    };
    std::bitset<65536> adopted;
    for (const ForwardedPair& one : adopted_) {
        if (one.id == id && is_free(one.port)) return take(one.port);
        adopted.set(one.port);
    }
    int others = 0;
    // An adopted pair may be of these keys too, which only its nodes can tell: another port where
    // there is one.
    for (const bool is_adopted : {false, true}) {
        for (int number = limits_.first_port; number <= limits_.last_port; ++number) {
            const auto port = static_cast<uint16_t>(number);
            if (!is_free(port) || adopted.test(port) != is_adopted) continue;
            auto open = hooks_.open_port(port);
            if (open) return take(port);
            log::warn("relay.port_taken", {{"port", port}, {"error", open.error().message}});
            if (++others == kOtherPorts) return failed(open.error());
        }
    }
    return fail(Code::Unavailable, "no port is left for this pair");
}

Pairs::Pair* Pairs::make(const Asker& asker, const PairOf& wanted) {
    const std::string tenant(asker.tenant_id);
    size_t& count = of_tenant_[tenant];
    if (count >= limits_.a_tenant) return nullptr;
    const PairId id = pair_id(tenant, wanted);
    auto port = take_port(id, tenant, wanted);
    if (!port) return nullptr;
    ++count;
    auto made = std::make_unique<Pair>();
    made->id = id;
    made->tenant_id = tenant;
    made->network_id = asker.network_id;
    made->port = *port;
    made->sides[0].key = std::min(wanted.own, wanted.peer);
    made->sides[1].key = std::max(wanted.own, wanted.peer);
    made->active_at = clock_.since_boot();
    for (const Side& side : made->sides) ports_of_[{tenant, side.key}][*port] = made.get();
    return pairs_.emplace(id, std::move(made)).first->second.get();
}

void Pairs::prove(Side& side) {
    const Bytes random = random_bytes(side.bind_id.size() + side.secret.bytes().size());
    std::copy_n(random.begin(), side.bind_id.size(), side.bind_id.begin());
    std::copy(random.begin() + static_cast<ptrdiff_t>(side.bind_id.size()), random.end(),
              side.secret.writable().begin());
}

void Pairs::pair(const Asker& asker, const PairOf& wanted) {
    if (wanted.own == wanted.peer) return tell_unpaired(asker.session, wanted, Unpaired::Limit);
    Pair* pair = find(asker.tenant_id, wanted);
    // Keys are of one network each: who names the other one's wrongly is served nothing.
    if (pair && pair->network_id != asker.network_id)
        return tell_unpaired(asker.session, wanted, Unpaired::Peer);
    if (!pair) pair = make(asker, wanted);
    if (!pair) return tell_unpaired(asker.session, wanted, Unpaired::Limit);
    const size_t which = pair->sides[0].key == wanted.own ? 0 : 1;
    Side& side = pair->sides[which];
    // The key has gone to another node: what that one has bound is worth nothing.
    if (side.has_asked && side.node_id != asker.node_id) {
        by_bind_.erase(side.bind_id);
        for (const Family family : kFamilies) unbind(*pair, side, family);
        side.has_asked = false;
    }
    if (!side.has_asked) {
        prove(side);
        by_bind_[side.bind_id] = {pair, which};
    }
    side.has_asked = true;
    side.node_id = asker.node_id;
    side.session = asker.session;
    side.expires_at = asker.expires_at;
    pair->active_at = clock_.since_boot();
    offer(*pair, side);
    for (const Family family : kFamilies)
        if (pair->forwarded(family)) tell_ready(*pair, side, family);
}

void Pairs::offer(const Pair& pair, const Side& side) {
    Bytes frame;
    put_offer(frame, {pair.of(side), side.bind_id, side.secret.clone(), pair.port, addresses_});
    hooks_.tell(side.session, frame);
}

void Pairs::tell_unpaired(uint64_t session, const PairOf& pair, Unpaired reason) {
    Bytes frame;
    put_unpair(frame, {pair, reason});
    hooks_.tell(session, frame);
}

void Pairs::unpair(const Asker& asker, const PairOf& pair) {
    Pair* found = find(asker.tenant_id, pair);
    if (!found) return;
    const Side& side = found->sides[found->sides[0].key == pair.own ? 0 : 1];
    if (side.session == asker.session) end(*found, Unpaired::Peer, asker.session);
}

void Pairs::granted(const Asker& asker, const Key& own) {
    const auto ports = ports_of_.find({std::string(asker.tenant_id), own});
    if (ports == ports_of_.end()) return;
    for (const auto& [port, pair] : ports->second)
        for (Side& side : pair->sides)
            if (side.key == own && side.node_id == asker.node_id)
                side.expires_at = asker.expires_at;
}

void Pairs::trust_changed(std::string_view tenant_id, const TenantTrust* trust) {
    const WallTime now = clock_.now();
    std::vector<Pair*> ending;
    for (const auto& entry : pairs_) {
        Pair& pair = *entry.second;
        if (pair.tenant_id != tenant_id) continue;
        const auto is_barred = [&](const Side& side) {
            return side.has_asked && trust->is_barred(side.node_id, pair.network_id, now);
        };
        if (!trust || is_barred(pair.sides[0]) || is_barred(pair.sides[1])) ending.push_back(&pair);
    }
    for (Pair* pair : ending) end(*pair, Unpaired::Peer);
}

// Whoever holds a bind secret could name a victim as the source of his request, and have us send
// him the pair's packets: so a bind counts with a word of ours alone that was sent to that very
// source. We keep nothing for it.
std::string Pairs::nonce(const BindId& id, const Endpoint& from, int64_t slot) const {
    const std::string text = fmt::format("{} {} {}", hex(id), from.text(), slot);
    const Bytes mac = hmac_sha256(nonce_key_, as_bytes(text));
    return hex(ByteView(mac).first(kNonceBytes));
}

bool Pairs::has_nonce(const stun::Message& request, const BindId& id, const Endpoint& from) const {
    const int64_t slot = slot_of(clock_.since_boot());
    const std::string_view shown = request.nonce().value_or("");
    return is_same(shown, nonce(id, from, slot)) || is_same(shown, nonce(id, from, slot - 1));
}

// Larger than neither answer: 100 bytes without a nonce, for 92 and, of IPv6, 88.
size_t Pairs::bind(const stun::Message& request, const Endpoint& from, const Endpoint& to,
                   std::span<uint8_t> answer) {
    const BindId id = bind_id_of(request.username().value_or(""));
    const auto found = by_bind_.find(id);
    if (found == by_bind_.end()) return ++stats_.binds_refused, size_t{0};
    auto& [pair, which] = found->second;
    Side& side = pair->sides[which];
    const bool is_good = pair->port == to.port && request.unknown().empty() &&
                         request.is_authentic(side.secret.bytes());
    if (!is_good) return ++stats_.binds_refused, size_t{0};
    const bool is_proven = has_nonce(request, id, from);
    ++(is_proven ? stats_.binds : stats_.binds_unproven);
    stun::Builder builder(answer, is_proven ? stun::Class::Success : stun::Class::Error,
                          stun::Method::Bind, request.transaction());
    if (is_proven) {
        bound(*pair, side, from, to.address);
        builder.mapped(from);
    } else {
        builder.error({kStaleNonce, {}}).nonce(nonce(id, from, slot_of(clock_.since_boot())));
    }
    const auto built = builder.integrity(side.secret.bytes()).fingerprint().finish();
    return built ? built->size() : 0;
}

void Pairs::bound(Pair& pair, Side& side, const Endpoint& from, const Address& own) {
    const Family family = from.address.family();
    const BootTime now = clock_.since_boot();
    if (!side.first_bound) side.first_bound = now;
    side.bound_at(family) = now;
    side.own(family) = own;
    pair.active_at = now;
    if (side.at(family) != from) {
        if (side.at(family)) places_.erase({pair.port, *side.at(family)});
        claim(pair, from);
        side.at(family) = from;
    }
    forward(pair, family);
}

// A NAT that has forgotten a mapping gives it to another: whoever binds last has it, be it of this
// pair or another.
void Pairs::claim(Pair& pair, const Endpoint& place) {
    std::erase_if(adopted_, [&](const ForwardedPair& one) {
        const bool has_place = one.first == place || one.second == place;
        if (one.id == pair.id || one.port != pair.port || !has_place) return false;
        remove(one);
        release_port(one.port);
        return true;
    });
    Pair*& holder = places_[{pair.port, place}];
    Pair* before = std::exchange(holder, &pair);
    if (!before) return;
    const Family family = place.address.family();
    for (Side& side : before->sides)
        if (side.at(family) == place) side.at(family).reset();
    stop(*before, family);
}

void Pairs::forward(Pair& pair, Family family) {
    const auto &first = pair.sides[0].at(family), &second = pair.sides[1].at(family);
    if (!first || !second) return;
    // Of several addresses of ours, both were told one: each has come to it, or soon will.
    const Address& own = pair.sides[0].own(family);
    if (own != pair.sides[1].own(family)) return;
    const ForwardedPair wanted{pair.id, own, pair.port, *first, *second};
    auto& forwarded = pair.forwarded(family);
    std::optional<ForwardedPair> before = forwarded;
    if (!before) before = take_adopted(pair.id, family);
    const bool is_there = before == wanted && host_.refresh(wanted).has_value();
    if (!is_there) {
        if (auto put = host_.put_pair(wanted, before); !put) {
            ++stats_.failed;
            log::error("relay.kernel_failed", {{"error", put.error().message}});
            return;
        }
        ++stats_.put;
    }
    if (forwarded == wanted) return;
    forwarded = wanted;
    for (const Side& side : pair.sides) tell_ready(pair, side, family);
}

void Pairs::tell_ready(const Pair& pair, const Side& side, Family family) {
    const auto ours = std::find_if(addresses_.begin(), addresses_.end(),
                                   [&](const Address& one) { return one.family() == family; });
    if (ours == addresses_.end()) return;
    Bytes frame;
    put_ready(frame, {pair.of(side), {*ours, pair.port}});
    hooks_.tell(side.session, frame);
}

void Pairs::unbind(Pair& pair, Side& side, Family family) {
    if (side.at(family)) places_.erase({pair.port, *side.at(family)});
    side.at(family).reset();
    stop(pair, family);
}

void Pairs::stop(Pair& pair, Family family) {
    auto& forwarded = pair.forwarded(family);
    if (!forwarded) return;
    remove(*forwarded);
    forwarded.reset();
}

void Pairs::remove(const ForwardedPair& pair) {
    auto removed = host_.remove_pair(pair);
    if (removed) return;
    ++stats_.failed;
    log::error("relay.kernel_failed", {{"error", removed.error().message}});
}

void Pairs::end(Pair& pair, Unpaired reason, uint64_t but_not) {
    for (const Family family : kFamilies) stop(pair, family);
    for (Side& side : pair.sides) {
        if (side.has_asked) by_bind_.erase(side.bind_id);
        if (side.has_asked && side.session != but_not)
            tell_unpaired(side.session, pair.of(side), reason);
        for (const Family family : kFamilies)
            if (side.at(family)) places_.erase({pair.port, *side.at(family)});
        const auto ports = ports_of_.find({pair.tenant_id, side.key});
        ports->second.erase(pair.port);
        if (ports->second.empty()) ports_of_.erase(ports);
    }
    release_port(pair.port);
    const auto count = of_tenant_.find(pair.tenant_id);
    if (--count->second == 0) of_tenant_.erase(count);
    pairs_.erase(pair.id);
}

std::optional<Unpaired> Pairs::why_to_end(const Pair& pair) const {
    const BootTime now = clock_.since_boot();
    const WallTime wall = clock_.now();
    for (const Side& side : pair.sides)
        if (side.has_asked && side.expires_at <= wall) return Unpaired::Peer;
    if (now - pair.active_at > kPairLife) return Unpaired::Silent;
    const auto &a = pair.sides[0], &b = pair.sides[1];
    const bool is_late = a.first_bound && b.first_bound &&
                         now - std::max(*a.first_bound, *b.first_bound) > kFamilyGrace;
    const bool has_common =
        (a.at(Family::V4) && b.at(Family::V4)) || (a.at(Family::V6) && b.at(Family::V6));
    const bool both_bound = a.is_bound() && b.is_bound();
    if (is_late && both_bound && !has_common) return Unpaired::NoFamily;
    return std::nullopt;
}

void Pairs::sweep() {
    const BootTime now = clock_.since_boot();
    std::vector<std::pair<Pair*, Unpaired>> ending;
    for (const auto& [id, pair] : pairs_) {
        for (Side& side : pair->sides) {
            for (const Family family : kFamilies) {
                if (side.at(family) && now - side.bound_at(family) > kPairLife)
                    unbind(*pair, side, family);
            }
        }
        if (const auto why = why_to_end(*pair)) ending.emplace_back(pair.get(), *why);
    }
    for (const auto& [pair, why] : ending) end(*pair, why);
    if (now < adopted_until_ || adopted_.empty()) return;
    for (const ForwardedPair& one : std::exchange(adopted_, {})) release_port(one.port);
}

PairStats Pairs::stats() const {
    PairStats stats = stats_;
    stats.pairs = pairs_.size();
    stats.adopted = adopted_.size();
    for (const auto& [id, pair] : pairs_)
        for (const Family family : kFamilies) stats.forwarded += pair->forwarded(family) ? 1 : 0;
    return stats;
}

}  // namespace cvlan::relay
