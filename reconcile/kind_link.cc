// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kind_link.h"

#include <algorithm>

#include "netlink/link.h"
#include "reconcile/desired.h"
#include "reconcile/kernel.h"
#include "reconcile/observed.h"
#include "reconcile/step.h"

namespace cvlan::reconcile {

namespace {

constexpr std::string_view kWireGuard = "wireguard";
constexpr std::string_view kXfrm = "xfrm";

std::string_view kind_of(uint32_t if_id) { return if_id == 0 ? kWireGuard : kXfrm; }

SetLink whole_link(const Link& want) {
    SetLink step{.device = want.device, .network_id = want.network_id, .mtu = want.mtu, .up = true};
    if (want.if_id != 0) step.if_id = want.if_id;
    return step;
}

// What to change about a link that is there; nothing if it is as wanted.
std::optional<SetLink> change_of(const Link& want, const ObservedLink& have) {
    SetLink step{.device = want.device, .network_id = want.network_id, .found_as = have.device};
    if (have.mtu != want.mtu) step.mtu = want.mtu;
    if (have.if_id != want.if_id) step.if_id = want.if_id;
    // A link is renamed while it is down, so it has to be brought up again.
    const bool is_renamed = have.device != want.device;
    step.up = is_renamed || !have.up;
    if (!step.mtu && !step.up && !step.if_id) return std::nullopt;
    return step;
}

Result<void> rename(Kernel& kernel, const SetLink& step, int index) {
    // Linux before 6.2 renames only what is down.
    auto down = netlink::change_link(kernel.route(), index, {.up = false});
    if (!down) return down;
    auto renamed = netlink::change_link(kernel.route(), index, {.name = step.device});
    if (!renamed) return renamed;
    kernel.forget(step.found_as);
    kernel.remember(step.device, index);
    return {};
}

// A device which an agent made and could not mark any more, as it was killed in between: it has
// our name, which is a hash, and nobody has given it a key, peers or a state.
bool is_newborn(Kernel& kernel, const netlink::Link& link) {
    if (!link.alias.empty() || link.up) return false;
    if (link.kind == kXfrm) return link.xfrm && link.xfrm->if_id != 0;
    if (link.kind != kWireGuard) return false;
    auto device = kernel.wireguard().device(link.name);
    return device && device->public_key.empty() && device->peers.empty();
}

void add_foreign(const netlink::Link& link, Observed& have) {
    have.foreign.push_back({.holds = Foreign::Holds::Device,
                            .device = link.name,
                            .what = fmt::format("link {} (kind '{}', alias '{}') is not ours",
                                                link.name, link.kind, printable(link.alias))});
}

// Looks who has the name of a wanted device that is not there.
Result<void> observe_holder(Kernel& kernel, const Link& want, Observed& have) {
    auto holder = netlink::find_link(kernel.route(), want.device);
    if (!holder && holder.error().code == Code::NotFound) return {};
    if (!holder) return failed(holder.error());
    const bool is_kind = holder->kind == kind_of(want.if_id);
    if (!network_of_alias(holder->alias).empty() && is_kind) return {};
    if (!is_kind || !is_newborn(kernel, *holder)) {
        add_foreign(*holder, have);
        return {};
    }
    kernel.remember(want.device, holder->index);
    have.links.push_back({want.device, want.network_id, holder->mtu, holder->up,
                          holder->xfrm ? holder->xfrm->if_id : 0});
    return {};
}

// Adds the devices of ours of one kind. Of xfrm interfaces those with a number that we want for
// ourselves are in the way; one without a number serves all by metadata, and is never ours.
Result<void> observe_kind(Kernel& kernel, std::string_view kind, const Desired& want,
                          Observed& have) {
    auto links = netlink::list_links(kernel.route(), kind);
    if (!links) return failed(links.error());
    for (const netlink::Link& link : *links) {
        const uint32_t if_id = link.xfrm ? link.xfrm->if_id : 0;
        const std::string network = network_of_alias(link.alias);
        if (!network.empty() && (kind != kXfrm || if_id != 0)) {
            kernel.remember(link.name, link.index);
            have.links.push_back({link.name, network, link.mtu, link.up, if_id});
            continue;
        }
        for (const Link& wanted : want.links) {
            if (if_id == 0 || wanted.if_id != if_id || wanted.device == link.name) continue;
            have.foreign.push_back(
                {.holds = Foreign::Holds::Index,
                 .index = if_id - kIfIdBase,
                 .what = fmt::format("link {} if_id {:#x} is not ours", link.name, if_id)});
        }
    }
    return {};
}

bool wants_xfrm(const Desired& want) {
    return std::any_of(want.links.begin(), want.links.end(),
                       [](const Link& link) { return link.if_id != 0; });
}

}  // namespace

std::string text(const SetLink& step) {
    std::string line;
    if (step.found_as.empty()) {
        line = fmt::format("add link {} kind {}", step.device, kind_of(step.if_id.value_or(0)));
    } else if (step.found_as != step.device) {
        line = fmt::format("set link {} name {}", step.found_as, step.device);
    } else {
        line = fmt::format("set link {}", step.device);
    }
    if (step.if_id) line += fmt::format(" if_id {:#x}", *step.if_id);
    if (step.mtu) line += fmt::format(" mtu {}", *step.mtu);
    if (step.up) line += " up";
    return line;
}

std::string text(const RemoveLink& step) { return fmt::format("remove link {}", step.device); }

Result<void> apply(Kernel& kernel, const SetLink& step) {
    const std::string alias = alias_of(step.network_id);
    if (step.found_as.empty()) {
        netlink::NewLink link{.name = step.device,
                              .kind = std::string(kind_of(step.if_id.value_or(0))),
                              .alias = alias,
                              .mtu = step.mtu};
        if (step.if_id) link.xfrm = netlink::Xfrm{.if_id = *step.if_id};
        auto added = kernel.add_link(std::move(link));
        if (!added) return added;
        auto index = kernel.index_of(step.device);
        if (!index) return failed(index.error());
        return netlink::change_link(kernel.route(), *index, {.up = true});
    }
    auto link = netlink::find_link(kernel.route(), step.found_as);
    if (!link) return failed(link.error());
    if (link->alias != alias && !is_newborn(kernel, *link))
        return fail(Code::Conflict, "link {} is not ours any more", step.found_as);
    if (step.found_as != step.device) {
        auto renamed = rename(kernel, step, link->index);
        if (!renamed) return renamed;
    }
    netlink::LinkChange change{.alias = alias, .mtu = step.mtu};
    if (step.up) change.up = true;
    if (step.if_id) change.xfrm = netlink::Xfrm{.if_id = *step.if_id};
    return netlink::change_link(kernel.route(), link->index, change);
}

Result<void> apply(Kernel& kernel, const RemoveLink& step) {
    auto index = kernel.index_of(step.device);
    if (!index) return failed(index.error());
    kernel.forget(step.device);
    return netlink::remove_link(kernel.route(), *index);
}

void diff_links(const Desired& want, const Observed& have, Changes& changes) {
    std::vector<const ObservedLink*> kept;
    for (const Link& link : want.links) {
        const ObservedLink* found = have.link_of(link);
        if (found != nullptr) kept.push_back(found);
        if (have.is_device_taken(link.device)) continue;
        if (link.if_id != 0 && have.is_index_taken(link.if_id - kIfIdBase)) continue;
        if (found == nullptr) {
            changes.sets.push_back(whole_link(link));
        } else if (auto change = change_of(link, *found)) {
            changes.sets.push_back(std::move(*change));
        }
    }
    for (const ObservedLink& link : have.links)
        if (std::find(kept.begin(), kept.end(), &link) == kept.end())
            changes.removals.push_back(RemoveLink{link.device});
}

Result<void> observe_links(Kernel& kernel, const Desired& want, Observed& have) {
    auto done = observe_kind(kernel, kWireGuard, want, have);
    // The kernel announces links: the rounds that look at WireGuard ask for these where they have
    // to.
    if (done && (have.scope == Scope::Everything || wants_xfrm(want)))
        done = observe_kind(kernel, kXfrm, want, have);
    if (!done) return done;
    const size_t listed = have.links.size();
    for (const Link& link : want.links) {
        const auto is_it = [&](const ObservedLink& one) { return one.device == link.device; };
        const auto end = have.links.begin() + static_cast<ptrdiff_t>(listed);
        if (std::find_if(have.links.begin(), end, is_it) != end) continue;
        done = observe_holder(kernel, link, have);
        if (!done) return done;
    }
    std::sort(have.links.begin(), have.links.end());
    return {};
}

}  // namespace cvlan::reconcile
