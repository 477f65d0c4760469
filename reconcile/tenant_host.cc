// SPDX-License-Identifier: Apache-2.0
#include "reconcile/tenant_host.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <tuple>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "netlink/link.h"
#include "reconcile/marks.h"
#include "reconcile/reconciler.h"

namespace cvlan::reconcile {

namespace {

template <class Value>
void append(std::vector<Value>& to, std::vector<Value>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

template <class Value, class Keeps>
std::vector<Value> those(const std::vector<Value>& all, const Keeps& keeps) {
    std::vector<Value> kept;
    std::copy_if(all.begin(), all.end(), std::back_inserter(kept), keeps);
    return kept;
}

// All sections stay sorted by device or table, which no two namespaces share.
void add(Observed& to, Observed& from) {
    append(to.links, from.links);
    append(to.addresses, from.addresses);
    append(to.wireguard, from.wireguard);
    append(to.routes, from.routes);
    append(to.rules, from.rules);
    append(to.foreign, from.foreign);
}

void put_in_order(Observed& have) {
    std::sort(have.links.begin(), have.links.end());
    std::sort(have.addresses.begin(), have.addresses.end());
    std::sort(have.wireguard.begin(), have.wireguard.end(),
              [](const wg::Device& a, const wg::Device& b) { return a.name < b.name; });
    std::sort(have.routes.begin(), have.routes.end(), [](const auto& a, const auto& b) {
        return std::tie(a.table, a.destination, a.metric) <
               std::tie(b.table, b.destination, b.metric);
    });
    std::sort(have.rules.begin(), have.rules.end());
}

std::optional<uint32_t> index_of(uint32_t table) {
    return is_our_table(table) ? std::optional(table - kTableBase) : std::nullopt;
}

// /proc/sys/net shows the namespace of the thread that opens it.
Result<void> turn_on(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || ::write(file.get(), "1", 1) != 1) return failed(errno_error(path));
    return {};
}

Result<void> make_ready(const netlink::NetnsFd& netns) {
    auto socket = netlink::Socket::open(NETLINK_ROUTE, netns);
    if (!socket) return failed(socket.error());
    auto lo = netlink::find_link(*socket, "lo");
    if (!lo) return failed(lo.error());
    if (!lo->up)
        if (auto up = netlink::change_link(*socket, lo->index, {.up = true}); !up) return up;
    return netns.run([]() -> Result<void> {
        auto on = turn_on("/proc/sys/net/ipv4/ip_forward");
        // A kernel without IPv6 has nothing to pass on by it.
        if (on) (void)turn_on("/proc/sys/net/ipv6/conf/all/forwarding");
        return on;
    });
}

}  // namespace

Desired part_of(const Desired& want, std::string_view netns) {
    Desired part;
    std::set<std::string_view> devices;
    std::set<uint32_t> tables;
    for (const Link& link : want.links) {
        if (link.netns != netns) continue;
        part.links.push_back(link);
        devices.insert(link.device);
        if (link.if_id != 0) tables.insert(kTableBase + link.if_id - kIfIdBase);
    }
    part.addresses =
        those(want.addresses, [&](const auto& one) { return devices.contains(one.device); });
    part.wireguard =
        those(want.wireguard, [&](const auto& one) { return devices.contains(one.device); });
    for (const WgDevice& device : part.wireguard)
        tables.insert(kTableBase + device.fwmark - kMarkBase);
    part.routes = those(want.routes, [&](const auto& one) { return tables.contains(one.table); });
    part.rules = those(want.rules, [&](const auto& one) { return tables.contains(one.table); });
    part.left_alone = want.left_alone;
    return part;
}

Result<std::unique_ptr<TenantHost>> TenantHost::open(Opened opened) {
    auto own = netlink::NetnsFd::current();
    if (!own) return failed(own.error());
    // Before a namespace is made: a kernel that can not do it gets none.
    if (auto able = KernelHost::open(*own); !able) return failed(able.error());
    std::unique_ptr<TenantHost> host(new TenantHost(std::move(*own), std::move(opened)));
    auto names = netlink::NetnsFd::names(kTenantNetns);
    if (!names) return failed(names.error());
    // Whatever else begins so is somebody's own.
    std::erase_if(*names, [](const std::string& name) {
        return !is_uuid(std::string_view(name).substr(kTenantNetns.size()));
    });
    for (const std::string& name : *names)
        if (auto there = host->enter(name); !there) return failed(there.error());
    return host;
}

Result<void> TenantHost::enter(const std::string& name) {
    if (places_.contains(name)) return {};
    auto netns = netlink::NetnsFd::make(name);
    if (!netns) return failed(netns.error());
    if (auto ready = make_ready(*netns); !ready)
        return failed(ready.error().while_doing(fmt::format("network namespace {}", name)));
    auto host = KernelHost::open(*netns, &own_);
    if (!host) return failed(host.error());
    if (opened_) opened_(*netns);
    places_.emplace(name, Place{std::move(*host), std::move(*netns)});
    return {};
}

void TenantHost::learn(const Desired& want, const std::string& name) {
    for (const Link& link : want.links) devices_[link.device] = name;
    for (const DeviceRoute& route : want.routes)
        if (const auto index = index_of(route.table)) indexes_[*index] = name;
    for (const PolicyRule& rule : want.rules)
        if (const auto index = index_of(rule.table)) indexes_[*index] = name;
}

void TenantHost::learn(const Observed& have, const std::string& name) {
    for (const ObservedLink& link : have.links) devices_[link.device] = name;
    for (const DeviceRoute& route : have.routes)
        if (const auto index = index_of(route.table)) indexes_.try_emplace(*index, name);
    for (const PolicyRule& rule : have.rules)
        if (const auto index = index_of(rule.table)) indexes_.try_emplace(*index, name);
}

Result<Observed> TenantHost::observe(const Desired& want, Scope scope) {
    for (const Link& link : want.links)
        if (auto there = enter(link.netns); !there) return failed(there.error());
    devices_.clear();
    if (scope == Scope::Everything) indexes_.clear();
    for (const auto& [name, place] : places_) learn(part_of(want, name), name);
    Observed all;
    all.scope = scope;
    for (auto& [name, place] : places_) {
        auto have = place.host.observe(part_of(want, name), scope);
        if (!have) return failed(have.error().while_doing(fmt::format("in {}", name)));
        learn(*have, name);
        add(all, *have);
    }
    put_in_order(all);
    return all;
}

std::string TenantHost::place_of(const Step& step) const {
    if (const auto device = devices_.find(std::string(device_of(step))); device != devices_.end())
        return device->second;
    const auto table = table_of(step);
    const auto index = table ? index_of(*table) : std::nullopt;
    const auto found = index ? indexes_.find(*index) : indexes_.end();
    return found == indexes_.end() ? "" : found->second;
}

std::vector<StepFailure> TenantHost::apply(std::span<const Step> steps) {
    std::vector<StepFailure> failures;
    for (size_t i = 0; i < steps.size();) {
        const std::string name = place_of(steps[i]);
        size_t end = i + 1;
        while (end < steps.size() && place_of(steps[end]) == name) ++end;
        const auto place = places_.find(name);
        for (; place == places_.end() && i < end; ++i)
            failures.push_back({i, Error{Code::NotFound, "no network namespace is its own"}});
        if (place != places_.end())
            for (StepFailure& failure : place->second.host.apply(steps.subspan(i, end - i)))
                failures.push_back({i + failure.index, std::move(failure.error)});
        i = end;
    }
    return failures;
}

std::vector<std::string> TenantHost::teardown() {
    std::vector<std::string> problems;
    auto done = converge(*this, {});
    if (done)
        problems = done->last.problems();
    else
        problems.push_back(done.error().message);
    if (!problems.empty()) return problems;
    for (auto place = places_.begin(); place != places_.end(); place = places_.erase(place))
        if (auto gone = netlink::NetnsFd::remove(place->first); !gone)
            problems.push_back(gone.error().message);
    return problems;
}

}  // namespace cvlan::reconcile
