// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kernel_host.h"

#include <utility>

#include "reconcile/kernel.h"
#include "reconcile/marks.h"

namespace cvlan::reconcile {

namespace {

// Changes of peers of one device that stand side by side travel in as few messages as hold them.
std::string_view peers_device(const Step& step) {
    if (const auto* set = std::get_if<SetPeer>(&step)) return set->device;
    if (const auto* remove = std::get_if<RemovePeer>(&step)) return remove->device;
    return {};
}

// Before the rest of a device's name, while it is moved.
constexpr std::string_view kPassage = "cvp";

// What is to be removed and is not there has been removed.
bool is_success(const Step& step, const Error& error) {
    return is_removal(step) && error.code == Code::NotFound;
}

std::vector<StepFailure> apply_peers(Kernel& kernel, std::span<const Step> steps) {
    std::vector<StepFailure> failures;
    const std::string device(peers_device(steps.front()));
    const auto fail_all = [&](const Error& error) {
        for (size_t i = 0; i < steps.size(); ++i)
            if (!is_success(steps[i], error)) failures.push_back({i, error});
        return failures;
    };
    if (auto index = kernel.index_of(device); !index) return fail_all(index.error());

    std::vector<wg::PeerChange> changes;
    changes.reserve(steps.size());
    for (const Step& step : steps) {
        const auto* set = std::get_if<SetPeer>(&step);
        changes.push_back(set ? change_of(*set) : change_of(std::get<RemovePeer>(step)));
    }
    auto refused = kernel.wireguard().change_peers(device, changes);
    if (!refused) return fail_all(refused.error());
    for (auto& failure : *refused)
        if (!is_success(steps[failure.index], failure.error))
            failures.push_back({failure.index, std::move(failure.error)});
    return failures;
}

Result<void> apply_one(Kernel& kernel, const Step& step) {
    auto done = std::visit([&](const auto& each) { return apply(kernel, each); }, step);
    if (!done && is_success(step, done.error())) return {};
    return done;
}

}  // namespace

Result<int> Kernel::index_of(const std::string& device) {
    if (const auto known = indexes_.find(device); known != indexes_.end()) return known->second;
    auto link = netlink::find_link(route_, device);
    if (!link) return failed(link.error());
    if (network_of_alias(link->alias).empty())
        return fail(Code::Conflict, "link {} is not ours (kind '{}', alias '{}')", device,
                    link->kind, link->alias);
    indexes_[device] = link->index;
    return link->index;
}

Result<void> Kernel::bear_in(const netlink::NetnsFd& birthplace, const netlink::NetnsFd& own) {
    auto outside = netlink::Socket::open(NETLINK_ROUTE, birthplace);
    if (!outside) return failed(outside.error().while_doing("open rtnetlink"));
    auto here = own.duplicate();
    if (!here) return failed(here.error());
    outside_.emplace(std::move(*outside));
    own_.emplace(std::move(*here));
    return {};
}

Result<void> Kernel::add_link(netlink::NewLink link) {
    if (!outside_) return netlink::add_link(route_, link);
    // Nobody takes it for theirs on its way: it has neither its name nor a mark there. One that has
    // the name of the passage stayed behind when its maker was killed.
    const std::string name = std::exchange(link.name, std::string(kPassage) + link.name.substr(2));
    const auto alias = std::exchange(link.alias, std::nullopt);
    for (netlink::Socket* at : {&*outside_, &route_})
        if (auto left = netlink::find_link(*at, link.name); left && left->kind == link.kind)
            if (auto gone = netlink::remove_link(*at, left->index); !gone) return gone;
    if (auto made = netlink::add_link(*outside_, link); !made) return made;
    auto born = netlink::find_link(*outside_, link.name);
    if (!born) return failed(born.error());
    auto moved = netlink::change_link(*outside_, born->index, {.netns = &*own_});
    if (!moved) {
        (void)netlink::remove_link(*outside_, born->index);
        return moved;
    }
    auto arrived = netlink::find_link(route_, link.name);
    if (!arrived) return failed(arrived.error());
    return netlink::change_link(route_, arrived->index, {.name = name, .alias = alias});
}

std::string Kernel::name_of(int index) const {
    for (const auto& [name, its_index] : indexes_)
        if (its_index == index) return name;
    return {};
}

Result<KernelHost> KernelHost::open(const netlink::NetnsFd& netns,
                                    const netlink::NetnsFd* birthplace) {
    auto route = netlink::Socket::open(NETLINK_ROUTE, netns);
    if (!route) return failed(route.error().while_doing("open rtnetlink"));
    auto wireguard = wg::Client::open(netns);
    if (!wireguard) return failed(wireguard.error());
    auto kernel = std::make_unique<Kernel>(std::move(*route), std::move(*wireguard));
    if (birthplace != nullptr)
        if (auto born = kernel->bear_in(*birthplace, netns); !born) return failed(born.error());
    return KernelHost(std::move(kernel));
}

KernelHost::KernelHost(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}
KernelHost::KernelHost(KernelHost&&) noexcept = default;
KernelHost& KernelHost::operator=(KernelHost&&) noexcept = default;
KernelHost::~KernelHost() = default;

Result<Observed> KernelHost::observe(const Desired& want, Scope scope) {
    Observed have;
    have.scope = scope;
    kernel_->forget_all();
    for (const Kind& kind : kinds()) {
        if (kind.scope > scope) continue;
        auto done = kind.observe(*kernel_, want, have);
        if (!done) return failed(done.error().while_doing(fmt::format("observe {}", kind.name)));
    }
    return have;
}

std::vector<StepFailure> KernelHost::apply(std::span<const Step> steps) {
    std::vector<StepFailure> failures;
    for (size_t i = 0; i < steps.size();) {
        size_t end = i + 1;
        const std::string_view device = peers_device(steps[i]);
        if (device.empty()) {
            auto done = apply_one(*kernel_, steps[i]);
            if (!done) failures.push_back({i, std::move(done.error())});
        } else {
            while (end < steps.size() && peers_device(steps[end]) == device) ++end;
            for (StepFailure& failure : apply_peers(*kernel_, steps.subspan(i, end - i)))
                failures.push_back({i + failure.index, std::move(failure.error)});
        }
        i = end;
    }
    // The links of an observation hold for the steps planned on it, and no longer.
    kernel_->forget_all();
    return failures;
}

void KernelHost::set_tally(netlink::Tally* tally) {
    kernel_->route().set_tally(tally);
    kernel_->wireguard().socket().set_tally(tally);
}

}  // namespace cvlan::reconcile
