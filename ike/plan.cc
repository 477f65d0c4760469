// SPDX-License-Identifier: Apache-2.0
#include "ike/plan.h"

#include <algorithm>
#include <set>

#include "xfrm/client.h"

namespace cvlan::ike {

namespace {

bool is_ours(std::string_view name) { return name.starts_with(kPrefix); }

// The kernel asks for a state, or charon has taken its number: it carries nothing yet.
bool is_larval(const xfrm::State& state) { return !state.aead && !state.crypt && !state.auth; }

// Since when `key` is so; forgets those that are so no more.
template <class Key>
class Since {
public:
    Since(std::map<Key, BootTime>& since, BootTime now) : since_(since), now_(now) {}
    ~Since() {
        std::erase_if(since_, [&](const auto& entry) { return !found_.contains(entry.first); });
    }
    Since(const Since&) = delete;
    Since& operator=(const Since&) = delete;
    bool is_for(const Key& key, std::chrono::seconds span) {
        found_.insert(key);
        return now_ - since_.try_emplace(key, now_).first->second >= span;
    }

private:
    std::map<Key, BootTime>& since_;
    std::set<Key> found_{};
    BootTime now_;
};

const vici::Child* child_named(const Tunnel& tunnel, const std::string& name) {
    const auto& children = tunnel.connection.children;
    const auto found = std::find_if(children.begin(), children.end(),
                                    [&](const vici::Child& one) { return one.name == name; });
    return found == children.end() ? nullptr : &*found;
}

class Planner {
public:
    Planner(const Wanted& want, const Seen& seen, Memory& memory, BootTime now)
        : want_(want), seen_(seen), memory_(memory), now_(now) {}

    Plan made() {
        turn_the_unanswered();
        load();
        drop_unwanted();
        drop_unapproved();
        move();
        drop_doubles();
        mend_what_the_kernel_lost();
        take_over();
        bring_up();
        return std::move(plan_);
    }

private:
    // charon calls a peer at one address and goes on for half a minute.
    void turn_the_unanswered() {
        Since calling(memory_.calling, now_);
        for (const vici::IkeSa& sa : seen_.sas) {
            const auto tunnel = want_.tunnels.find(sa.name);
            const bool is_unanswered =
                sa.state == "CONNECTING" && sa.initiator && sa.responder_spi == 0;
            if (!is_unanswered || tunnel == want_.tunnels.end()) continue;
            const bool is_late = calling.is_for(sa.unique_id, kAnswerLimit);
            const bool is_elsewhere = tunnel->second.path && !goes_by(sa, *tunnel->second.path);
            if (!is_elsewhere && (tunnel->second.places < 2 || !is_late)) continue;
            if (!is_elsewhere) ++memory_.tries[sa.name];
            plan_.terminate.push_back({.ike_id = sa.unique_id});
            // One packet too few may have been sent to call again by itself.
            for (const vici::Child& child : tunnel->second.connection.children)
                plan_.initiate.emplace_back(child.name, sa.name);
        }
    }

    void load() {
        const std::set<std::string> there(seen_.connections.begin(), seen_.connections.end());
        for (const auto& [name, tunnel] : want_.tunnels) {
            vici::Connection now = turned(tunnel, memory_.tries[name]);
            const auto told = memory_.told.find(name);
            if (there.contains(name) && told != memory_.told.end() && told->second == now) continue;
            plan_.load.push_back(std::move(now));
        }
        std::erase_if(memory_.tries,
                      [&](const auto& entry) { return !want_.tunnels.contains(entry.first); });
    }

    void drop_unwanted() {
        for (const std::string& name : seen_.connections)
            if (is_ours(name) && !want_.tunnels.contains(name)) plan_.unload.push_back(name);
        for (const vici::IkeSa& sa : seen_.sas) {
            if (!is_ours(sa.name)) continue;
            const auto tunnel = want_.tunnels.find(sa.name);
            if (tunnel == want_.tunnels.end()) {
                plan_.terminate.push_back({.ike_id = sa.unique_id});
                continue;
            }
            for (const vici::ChildSa& child : sa.child_sas)
                if (!child_named(tunnel->second, child.name))
                    plan_.terminate.push_back({.child_id = child.unique_id});
        }
    }

    static bool goes_by(const vici::IkeSa& sa, const Endpoint& path) {
        const auto address = Address::parse(sa.remote_host);
        if (!address || *address != path.address) return false;
        return sa.remote_port == path.port || path.port == kNatPort;
    }

    // A better path, or one that works where that of the tunnel does not any more. The new tunnel
    // stands beside the old one, which goes as one of two. Both ends see the same paths; one of
    // them acts.
    void move() {
        std::map<std::string, bool> standing;  // by connection: whether one goes by the path
        std::set<std::string> calling;
        for (const vici::IkeSa& sa : seen_.sas) {
            const auto tunnel = want_.tunnels.find(sa.name);
            if (tunnel == want_.tunnels.end() || !tunnel->second.path) continue;
            if (!sa.is_established())
                calling.insert(sa.name);
            else
                standing[sa.name] = standing[sa.name] || goes_by(sa, *tunnel->second.path);
        }
        std::erase_if(memory_.moves,
                      [&](const auto& entry) { return !standing.contains(entry.first); });
        for (const auto& [name, is_good] : standing) {
            const Tunnel& tunnel = want_.tunnels.at(name);
            if (is_good || !tunnel.keeps_own || calling.contains(name)) continue;
            const auto before = memory_.moves.find(name);
            const bool is_again = before != memory_.moves.end() &&
                                  before->second.to == *tunnel.path &&
                                  now_ - before->second.at < kMoveAgain;
            if (is_again) continue;
            memory_.moves.insert_or_assign(name, Memory::Move{*tunnel.path, now_});
            for (const vici::Child& child : tunnel.connection.children)
                plan_.initiate.emplace_back(child.name, name);
        }
    }

    // As of before the network was told to have approved algorithms alone: new ones are set up with
    // what is offered now, and by the other end no others.
    void drop_unapproved() {
        for (const vici::IkeSa& sa : seen_.sas) {
            const auto tunnel = want_.tunnels.find(sa.name);
            if (tunnel == want_.tunnels.end() || !tunnel->second.approved_only) continue;
            const std::string why = sa.is_established() ? unapproved(sa) : "";
            if (!why.empty()) {
                plan_.terminate.push_back({.ike_id = sa.unique_id});
                plan_.refused.push_back(
                    fmt::format("{}: {} is no approved algorithm", sa.name, why));
                for (const vici::ChildSa& child : sa.child_sas)
                    plan_.initiate.emplace_back(child.name, sa.name);
                continue;
            }
            for (const vici::ChildSa& child : sa.child_sas)
                if (child.is_installed() &&
                    tunnel->second.approved_only_children.contains(child.name))
                    drop_unapproved(sa, child);
        }
    }
    void drop_unapproved(const vici::IkeSa& sa, const vici::ChildSa& child) {
        const std::string why = unapproved(child);
        if (why.empty()) return;
        plan_.terminate.push_back({.child_id = child.unique_id});
        plan_.refused.push_back(
            fmt::format("{} {}: {} is no approved algorithm", sa.name, child.name, why));
        plan_.initiate.emplace_back(child.name, sa.name);
    }

    // Both ends come to the same answer: of those that the end with the lower node id has begun
    // the newest, or else the newest.
    void drop_doubles() {
        std::map<std::string, std::vector<const vici::IkeSa*>> standing;
        for (const vici::IkeSa& sa : seen_.sas)
            if (sa.is_established() && want_.tunnels.contains(sa.name))
                standing[sa.name].push_back(&sa);
        Since doubled(memory_.doubled, now_);
        for (auto& [name, sas] : standing) {
            const bool keeps_own = want_.tunnels.at(name).keeps_own;
            std::sort(sas.begin(), sas.end(), [&](const vici::IkeSa* a, const vici::IkeSa* b) {
                return std::pair(a->initiator == keeps_own, a->unique_id) >
                       std::pair(b->initiator == keeps_own, b->unique_id);
            });
            for (size_t i = 1; i < sas.size(); ++i)
                if (doubled.is_for(sas[i]->unique_id, kSettled))
                    plan_.terminate.push_back({.ike_id = sas[i]->unique_id});
        }
    }

    // Somebody flushed states or policies: charon believes that they are there. When a CHILD_SA
    // ends, charon puts the policy of the trap back, and the next packet has a new one made.
    void mend_what_the_kernel_lost() {
        std::set<uint32_t> there;
        for (const xfrm::State& state : seen_.states) there.insert(state.id.spi);
        std::map<std::string, std::vector<const vici::ChildSa*>> installed;
        Since hollow(memory_.hollow, now_);
        for (const vici::IkeSa& sa : seen_.sas)
            for (const vici::ChildSa& child : sa.child_sas) {
                if (!child.is_installed() || !want_.tunnels.contains(sa.name)) continue;
                installed[place(sa.name, child.name)].push_back(&child);
                const bool is_hollow =
                    !there.contains(child.spi_in) || !there.contains(child.spi_out);
                if (is_hollow && hollow.is_for(child.unique_id, kSettled))
                    plan_.terminate.push_back({.child_id = child.unique_id});
            }
        mend_policies(installed);
    }

    void mend_policies(const std::map<std::string, std::vector<const vici::ChildSa*>>& installed) {
        std::set<std::string> there;
        for (const xfrm::Policy& policy : seen_.policies)
            if (policy.direction == xfrm::Direction::Out)
                there.insert(trap_key(policy.if_id, policy.selector.source.text(),
                                      policy.selector.destination.text()));
        Since unwatched(memory_.unwatched, now_);
        for (const auto& [name, tunnel] : want_.tunnels) {
            bool is_lost = false;
            for (const vici::Child& child : tunnel.connection.children) {
                const std::string key = place(name, child.name);
                if (has_all(child, there) || !unwatched.is_for(key, kSettled)) continue;
                const auto sas = installed.find(key);
                if (sas == installed.end()) is_lost = true;
                if (sas != installed.end())
                    for (const vici::ChildSa* sa : sas->second)
                        plan_.terminate.push_back({.child_id = sa->unique_id});
            }
            if (is_lost && is_loaded(name)) plan_.reload.push_back(memory_.told.at(name));
        }
    }

    // As it should be, and not about to be loaded.
    bool is_loaded(const std::string& name) const {
        return memory_.told.contains(name) &&
               std::none_of(plan_.load.begin(), plan_.load.end(),
                            [&](const auto& one) { return one.name == name; });
    }
    static std::string place(const std::string& ike, const std::string& child) {
        return ike + " " + child;
    }
    static std::string trap_key(uint32_t if_id, std::string_view from, std::string_view to) {
        return fmt::format("{} {} {}", if_id, from, to);
    }
    // Of those that charon installs by itself: each of ours to each of theirs, of one family.
    static bool has_all(const vici::Child& child, const std::set<std::string>& there) {
        if (child.start_action != "trap") return true;
        for (const std::string& from : child.local_ts)
            for (const std::string& to : child.remote_ts) {
                const bool is_one_family =
                    (from.find(':') == std::string::npos) == (to.find(':') == std::string::npos);
                if (is_one_family &&
                    !there.contains(trap_key(child.if_id_out.value_or(0), from, to)))
                    return false;
            }
        return true;
    }

    // What a charon that has ended left in the kernel goes on carrying packets. A new SA is set up
    // beside it, and then it goes. One that charon ends just now looks the same for a moment.
    void take_over() {
        std::set<uint32_t> known, carried;
        std::set<std::string> calling;
        for (const vici::IkeSa& sa : seen_.sas) {
            if (!sa.is_established()) calling.insert(sa.name);
            for (const vici::ChildSa& child : sa.child_sas) {
                known.insert({child.spi_in, child.spi_out});
                if (child.is_installed()) carried.insert(child.reqid);
            }
        }
        std::map<uint32_t, std::pair<std::string, std::string>> wanted;
        for (const auto& [name, tunnel] : want_.tunnels)
            for (const vici::Child& child : tunnel.connection.children)
                wanted[child.reqid.value_or(0)] = {child.name, name};
        std::set<uint32_t> begun;
        Since unknown(memory_.unknown, now_);
        for (const xfrm::State& state : seen_.states) {
            if (is_larval(state) || known.contains(state.id.spi)) continue;
            const bool has_settled = unknown.is_for(state.id, kSettled);
            const auto child = wanted.find(state.reqid);
            if (child == wanted.end() || carried.contains(state.reqid)) {
                if (has_settled) plan_.remove.push_back(state.id);
            } else if (has_settled && !calling.contains(child->second.second) &&
                       begun.insert(state.reqid).second) {
                plan_.initiate.push_back(child->second);
            }
        }
    }

    // By the end whose tunnel would stay of two; by the other when that one has not come to it.
    void bring_up() {
        Since awaited(memory_.awaited, now_);
        for (const auto& [name, child] : want_.bring_up) {
            const auto tunnel = want_.tunnels.find(name);
            if (tunnel == want_.tunnels.end() || !child_named(tunnel->second, child)) continue;
            if (stands_or_comes(name, child)) continue;
            const bool is_overdue = awaited.is_for(place(name, child), kAnswerLimit);
            const std::pair<std::string, std::string> one(child, name);
            const bool is_planned = std::find(plan_.initiate.begin(), plan_.initiate.end(), one) !=
                                    plan_.initiate.end();
            if ((tunnel->second.keeps_own || is_overdue) && !is_planned)
                plan_.initiate.push_back(one);
        }
    }
    bool stands_or_comes(const std::string& name, const std::string& child) const {
        return std::any_of(seen_.sas.begin(), seen_.sas.end(), [&](const vici::IkeSa& sa) {
            if (sa.name != name) return false;
            if (!sa.is_established()) return true;
            return std::any_of(sa.child_sas.begin(), sa.child_sas.end(),
                               [&](const vici::ChildSa& one) { return one.name == child; });
        });
    }

    const Wanted& want_;
    const Seen& seen_;
    Memory& memory_;
    BootTime now_;
    Plan plan_{};
};

std::string text(const vici::SaSelector& which) {
    if (which.ike_id) return fmt::format("IKE_SA {}", *which.ike_id);
    if (which.child_id) return fmt::format("CHILD_SA {}", *which.child_id);
    return which.ike.value_or(which.child.value_or(""));
}

}  // namespace

std::vector<std::string> Plan::lines() const {
    std::vector<std::string> out;
    for (const auto& one : reload) out.push_back("reload " + one.name);
    for (const auto& one : load) out.push_back("load " + one.name);
    for (const auto& [child, ike] : initiate)
        out.push_back(fmt::format("initiate {} {}", ike, child));
    for (const auto& why : refused) out.push_back("refuse " + why);
    for (const auto& which : terminate) out.push_back("terminate " + text(which));
    for (const auto& name : unload) out.push_back("unload " + name);
    for (const auto& id : remove) out.push_back("remove " + xfrm::text(id));
    return out;
}

Plan plan(const Wanted& want, const Seen& seen, Memory& memory, BootTime now) {
    return Planner(want, seen, memory, now).made();
}

}  // namespace cvlan::ike
