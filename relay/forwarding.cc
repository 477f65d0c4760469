// SPDX-License-Identifier: Apache-2.0
#include "relay/forwarding.h"

#include <algorithm>
#include <set>

namespace cvlan::relay {

namespace {

using netlink::nft::Batch;
using netlink::nft::Element;
using netlink::nft::Rule;

// Some 400 bytes a pair: far below what one datagram may have.
constexpr size_t kPairsABatch = 500;
// An element may run out between the look at it and the batch.
constexpr int kTries = 3;

bool is_of_pair(const Element& element, const Pair& pair) {
    const auto direction = direction_of(element);
    return direction && direction->pair.name == pair.name;
}

std::vector<Rule> of_chain(std::span<const Rule> rules, const std::string& chain) {
    std::vector<Rule> found;
    for (const Rule& rule : rules)
        if (rule.chain == chain) found.push_back(rule);
    return found;
}

}  // namespace

// What one batch is to do, by family.
struct Forwarding::Plan {
    struct Of {
        std::set<Bytes> gone;
        std::vector<Element> elements;
    };
    Of v4;
    Of v6;

    Of& of(Family family) { return family == Family::V4 ? v4 : v6; }
    Batch batch() const {
        Batch batch(kTable);
        for (const auto& [family, of] : {std::pair{Family::V4, &v4}, std::pair{Family::V6, &v6}}) {
            const std::vector<Bytes> gone(of->gone.begin(), of->gone.end());
            batch.remove_elements(pairs_map(family), gone);
        }
        batch.add_elements(pairs_map(Family::V4), v4.elements);
        batch.add_elements(pairs_map(Family::V6), v6.elements);
        return batch;
    }
};

Result<Forwarding> Forwarding::open(const netlink::NetnsFd& netns) {
    auto client = netlink::nft::Client::open(netns);
    if (!client) return failed(client.error());
    return Forwarding(std::move(*client));
}

Result<Forwarding::Installed> Forwarding::install(std::vector<Address> own) {
    return install(std::move(own), false);
}

Result<Forwarding::Installed> Forwarding::reinstall(std::vector<Address> own) {
    return install(std::move(own), true);
}

Result<Forwarding::Installed> Forwarding::install(std::vector<Address> own, bool always) {
    std::sort(own.begin(), own.end());
    own.erase(std::unique(own.begin(), own.end()), own.end());
    if (own.size() > kMostOwn)
        return fail(Code::Invalid, "{} addresses of ours; {} are allowed", own.size(), kMostOwn);
    const std::vector<Rule> rules = forwarding_rules(own);

    const auto table = client_.table(kTable);
    if (!table && table.error().code != Code::NotFound) return failed(table.error());
    const bool is_current = table && table->comment == kTableComment;
    if (table && !table->comment.starts_with(kTableCommentStart))
        return fail(Code::Exists, "nft: table inet {} is not of cvlan-relay", kTable);
    if (is_current) {
        auto is_there = has_rules(rules);
        if (!is_there) return failed(is_there.error());
        if (*is_there && !always) {
            own_ = std::move(own);
            return Installed::Unchanged;
        }
    }
    Batch batch(kTable);
    if (table && !is_current) batch.remove_table();
    batch.add_table(kTableComment);
    for (const auto& set : forwarding_sets()) batch.add_set(set);
    for (const auto& chain : forwarding_chains()) {
        batch.add_chain(chain);
        batch.remove_rules(chain.name);
    }
    for (const Rule& rule : rules) batch.add_rule(rule);
    if (auto done = client_.commit(std::move(batch)); !done) return failed(done.error());
    own_ = std::move(own);
    return is_current ? Installed::Repaired : Installed::Created;
}

// By their comments, which say all that differs between one installation and another.
Result<bool> Forwarding::has_rules(std::span<const Rule> rules) {
    for (const auto& chain : forwarding_chains()) {
        auto have = client_.rules(kTable, chain.name);
        if (!have) return failed(have.error());
        const auto want = of_chain(rules, chain.name);
        const bool are_same = std::equal(
            have->begin(), have->end(), want.begin(), want.end(),
            [](const Rule& one, const Rule& other) { return one.comment == other.comment; });
        if (!are_same) return false;
    }
    return true;
}

Result<Traffic> Forwarding::traffic() {
    Traffic sum;
    for (const auto& chain : forwarding_chains()) {
        auto rules = client_.rules(kTable, chain.name);
        if (!rules) return failed(rules.error());
        for (const Rule& rule : *rules) {
            if (!rule.counted) continue;
            sum.packets += rule.counted->packets;
            sum.bytes += rule.counted->bytes;
        }
    }
    return sum;
}

Result<void> Forwarding::check(std::span<const Pair> pairs) {
    for (const Pair& pair : pairs)
        if (auto good = check_pair(pair, own_); !good) return good;
    return {};
}

Result<void> Forwarding::put(std::span<const Pair> pairs, std::chrono::seconds timeout) {
    if (auto good = check(pairs); !good) return good;
    while (!pairs.empty()) {
        const auto part = pairs.first(std::min(kPairsABatch, pairs.size()));
        auto done = add(part, timeout);
        if (!done && done.error().code == Code::Exists) done = refresh(part, timeout);
        if (!done) return done;
        pairs = pairs.subspan(part.size());
    }
    return {};
}

Result<void> Forwarding::add(std::span<const Pair> pairs, std::chrono::seconds timeout) {
    Plan plan;
    for (const Pair& pair : pairs) {
        auto elements = elements_of(pair, timeout);
        auto& to = plan.of(pair.own.family()).elements;
        to.insert(to.end(), elements.begin(), elements.end());
    }
    return client_.commit(plan.batch());
}

Result<void> Forwarding::refresh(std::span<const Pair> pairs, std::chrono::seconds timeout) {
    if (auto good = check(pairs); !good) return good;
    while (!pairs.empty()) {
        std::vector<Move> moves;
        for (const Pair& pair : pairs.first(std::min(kPairsABatch, pairs.size())))
            moves.push_back({pair, pair});
        if (auto done = move(moves, timeout); !done) return done;
        pairs = pairs.subspan(moves.size());
    }
    return {};
}

Result<void> Forwarding::replace(const Pair& before, const Pair& after,
                                 std::chrono::seconds timeout) {
    if (auto good = check({&after, 1}); !good) return good;
    const Move one{before, after};
    return move({&one, 1}, timeout);
}

Result<void> Forwarding::move(std::span<const Move> moves, std::chrono::seconds timeout) {
    Result<void> done;
    for (int tries = 0; tries < kTries; ++tries) {
        Plan changes;
        for (const Move& each : moves)
            if (auto planned = plan(each, timeout, changes); !planned) return planned;
        done = client_.commit(changes.batch());
        if (done) return done;
        if (done.error().code != Code::NotFound && done.error().code != Code::Exists) return done;
    }
    return done;
}

Result<void> Forwarding::plan(const Move& move, std::chrono::seconds timeout, Plan& plan) {
    const auto before = elements_of(move.before, timeout);
    auto after = elements_of(move.after, timeout);
    for (size_t side = 0; side < after.size(); ++side) {
        const Family family = move.before.own.family();
        auto old = find(family, before[side].key);
        if (!old) return failed(old.error());
        if (*old && is_of_pair(**old, move.before)) {
            plan.of(family).gone.insert(before[side].key);
            after[side].counter = (*old)->counter;
        }
    }
    auto& to = plan.of(move.after.own.family());
    for (Element& element : after) {
        if (!to.gone.contains(element.key)) {
            auto there = find(move.after.own.family(), element.key);
            if (!there) return failed(there.error());
            if (*there && !is_of_pair(**there, move.after)) {
                return fail(Code::Conflict, "pair {}: its place is another's, {}", move.after.name,
                            (*there)->comment);
            }
            if (*there) to.gone.insert(element.key);
        }
        to.elements.push_back(std::move(element));
    }
    return {};
}

Result<std::optional<Element>> Forwarding::find(Family family, const Bytes& key) {
    auto element = client_.element(kTable, pairs_map(family), key);
    if (element) return std::optional(std::move(*element));
    if (element.error().code == Code::NotFound) return std::optional<Element>();
    return failed(element.error());
}

Result<void> Forwarding::remove(std::span<const Pair> pairs) {
    while (!pairs.empty()) {
        const auto part = pairs.first(std::min(kPairsABatch, pairs.size()));
        if (auto done = remove_part(part); !done) return done;
        pairs = pairs.subspan(part.size());
    }
    return {};
}

Result<void> Forwarding::remove_part(std::span<const Pair> pairs) {
    Result<void> done;
    for (int tries = 0; tries < kTries; ++tries) {
        Plan plan;
        for (const Pair& pair : pairs) {
            const Family family = pair.own.family();
            for (const Element& each : elements_of(pair, std::chrono::seconds(0))) {
                auto there = find(family, each.key);
                if (!there) return failed(there.error());
                if (*there && is_of_pair(**there, pair)) plan.of(family).gone.insert(each.key);
            }
        }
        done = client_.commit(plan.batch());
        if (done || done.error().code != Code::NotFound) return done;
    }
    return done;
}

Result<std::vector<PairState>> Forwarding::pairs() {
    std::vector<PairState> all;
    for (const Family family : {Family::V4, Family::V6}) {
        auto elements = client_.elements(kTable, pairs_map(family));
        if (!elements) return failed(elements.error());
        for (PairState& each : joined(*elements)) all.push_back(std::move(each));
    }
    return all;
}

Result<void> Forwarding::uninstall() {
    const auto table = client_.table(kTable);
    if (!table && table.error().code == Code::NotFound) return {};
    if (!table) return failed(table.error());
    if (!table->comment.starts_with(kTableCommentStart))
        return fail(Code::Exists, "nft: table inet {} is not of cvlan-relay", kTable);
    Batch batch(kTable);
    batch.remove_table();
    return client_.commit(std::move(batch));
}

}  // namespace cvlan::relay
