// SPDX-License-Identifier: Apache-2.0
#include "relay/host_settings.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <optional>

#include "base/unique_fd.h"
#include "netlink/address.h"
#include "netlink/link.h"
#include "relay/forwarding_table.h"

namespace cvlan::relay {

namespace {

using namespace netlink::nft;

constexpr const char* kSettings = "settings";
constexpr const char* kForward = "forward";
constexpr const char* kAllV6 = "net/ipv6/conf/all/forwarding";

// /proc/sys/net shows the namespace of the thread that opens it.
Result<std::string> read_setting(const std::string& path) {
    UniqueFd fd(::open(("/proc/sys/" + path).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return failed(errno_error("read setting " + path));
    char text[64];
    const ssize_t size = read(fd.get(), text, sizeof text);
    if (size < 0) return failed(errno_error("read setting " + path));
    const std::string_view all(text, static_cast<size_t>(size));
    return std::string(all.substr(0, all.find('\n')));
}

Result<void> write_setting(const std::string& path, const std::string& value) {
    UniqueFd fd(::open(("/proc/sys/" + path).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || write(fd.get(), value.data(), value.size()) < 0)
        return failed(errno_error(fmt::format("set {} to {}", path, value)));
    return {};
}

// What must be so; in the order of writing.
struct Wanted {
    std::string path;
    std::string value;
};

// Of redirects, a device sends them unless both it and "all" say no; for the other devices "all"
// changes nothing, since each says yes by itself (linux/inetdevice.h: IN_DEV_TX_REDIRECTS).
void want_v4(const std::set<std::string>& devices, std::vector<Wanted>& wanted) {
    wanted.push_back({"net/ipv4/conf/all/send_redirects", "0"});
    for (const std::string& device : devices) {
        wanted.push_back({"net/ipv4/conf/" + device + "/send_redirects", "0"});
        wanted.push_back({"net/ipv4/conf/" + device + "/forwarding", "1"});
    }
}

// The devices that listen to router advertisements as hosts alone: with forwarding on they would
// stop, and lose address and route (Documentation/networking/ip-sysctl.rst: accept_ra).
std::vector<std::string> devices_led_by_routers() {
    std::vector<std::string> devices;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/sys/net/ipv6/conf"), closedir);
    for (const dirent* each; folder && (each = readdir(folder.get())) != nullptr;) {
        const std::string name = each->d_name;
        if (name.starts_with(".") || name == "all" || name == "default" || name == "lo") continue;
        const auto value = read_setting("net/ipv6/conf/" + name + "/accept_ra");
        if (value && *value == "1") devices.push_back(name);
    }
    std::sort(devices.begin(), devices.end());
    return devices;
}

// Before Linux 6.17 there is one switch for all devices.
void want_v6(const std::set<std::string>& devices, std::vector<Wanted>& wanted) {
    if (read_setting("net/ipv6/conf/all/force_forwarding")) {
        const auto all = read_setting(kAllV6);
        if (all && *all == "1") return;
        for (const std::string& device : devices)
            wanted.push_back({"net/ipv6/conf/" + device + "/force_forwarding", "1"});
        return;
    }
    const auto all = read_setting(kAllV6);
    if (!all || *all != "1") {
        for (const std::string& device : devices_led_by_routers())
            wanted.push_back({"net/ipv6/conf/" + device + "/accept_ra", "2"});
    }
    wanted.push_back({kAllV6, "1"});
}

bool has(std::span<const Address> own, Family family) {
    return std::any_of(own.begin(), own.end(),
                       [family](const Address& each) { return each.family() == family; });
}

// "net/ipv4/conf/eth0/forwarding" -> "eth0"
std::string device_of(const std::string& path) {
    const size_t end = path.rfind('/');
    const size_t start = path.rfind('/', end - 1) + 1;
    return path.substr(start, end - start);
}

Bytes mark_bytes(uint32_t mark) {
    const auto bytes = std::bit_cast<std::array<uint8_t, 4>>(mark);
    return {bytes.begin(), bytes.end()};
}

// Drops what comes in where forwarding was off and is not the relay's; none for other settings.
std::optional<Rule> guard_for(const Setting& setting) {
    if (!setting.path.ends_with("forwarding") || setting.before != "0") return std::nullopt;
    const bool is_v4 = setting.path.starts_with("net/ipv4");
    Rule rule{kForward,
              {LoadMeta{NFT_META_NFPROTO, 0},
               Compare{0, {static_cast<uint8_t>(is_v4 ? NFPROTO_IPV4 : NFPROTO_IPV6)}}},
              fmt::format("the relay's alone: {}", device_of(setting.path))};
    if (setting.path != kAllV6) {
        Bytes name(IFNAMSIZ);
        const std::string device = device_of(setting.path);
        std::copy(device.begin(), device.end(), name.begin());
        rule.expressions.insert(rule.expressions.end(),
                                {LoadMeta{NFT_META_IIFNAME, 0}, Compare{0, name}});
    }
    rule.expressions.insert(rule.expressions.end(),
                            {LoadMeta{NFT_META_MARK, 0}, Mask{0, mark_bytes(kMarkMask)},
                             Compare{0, mark_bytes(kMark), NFT_CMP_NEQ}, Verdict{NF_DROP}});
    return rule;
}

// "<path> <before> <now>"
std::optional<Setting> setting_of(const std::string& comment) {
    const size_t second = comment.rfind(' ');
    if (second == std::string::npos || second == 0) return std::nullopt;
    const size_t first = comment.rfind(' ', second - 1);
    if (first == std::string::npos || !comment.starts_with("net/")) return std::nullopt;
    return Setting{comment.substr(0, first), comment.substr(first + 1, second - first - 1),
                   comment.substr(second + 1)};
}

// Somebody has made a router of this machine since: it is no more of ours, and no guard stands in
// its way. "all" is written to every device, ours included.
bool is_superseded(const Setting& setting) {
    if (!setting.path.starts_with("net/ipv4/") || !setting.path.ends_with("/forwarding"))
        return false;
    const auto all = read_setting("net/ipv4/conf/all/forwarding");
    return all && *all == "1";
}

}  // namespace

Result<std::set<std::string>> HostSettings::devices_of(std::span<const Address> own) {
    auto socket = netlink::Socket::open(NETLINK_ROUTE, netns_);
    if (!socket) return failed(socket.error());
    auto addresses = netlink::list_addresses(*socket);
    if (!addresses) return failed(addresses.error());
    auto links = netlink::list_links(*socket);
    if (!links) return failed(links.error());
    std::set<std::string> devices;
    for (const auto& each : *addresses) {
        if (std::find(own.begin(), own.end(), each.address) == own.end()) continue;
        for (const auto& link : *links)
            if (link.index == each.ifindex && link.name != "lo") devices.insert(link.name);
    }
    return devices;
}

Result<std::vector<Setting>> HostSettings::allow(const std::set<std::string>& devices,
                                                 std::span<const Address> own) {
    auto known = kept();
    if (!known) return failed(known.error());
    std::vector<Setting> changes;
    std::vector<Setting> all;
    auto looked = netns_.run([&]() -> Result<void> {
        std::vector<Wanted> wanted;
        if (has(own, Family::V4)) want_v4(devices, wanted);
        if (has(own, Family::V6)) want_v6(devices, wanted);
        for (const Setting& each : *known)
            if (!is_superseded(each)) all.push_back(each);
        for (const Wanted& want : wanted) {
            auto value = read_setting(want.path);
            if (!value) return failed(value.error());
            if (*value != want.value) changes.push_back({want.path, *value, want.value});
        }
        return {};
    });
    if (!looked) return failed(looked.error());
    // What was there first is what counts.
    for (const Setting& change : changes) {
        const bool is_known = std::any_of(
            all.begin(), all.end(), [&](const Setting& each) { return each.path == change.path; });
        if (!is_known) all.push_back(change);
    }
    // The guard stands before anything is forwarded.
    if (all != *known)
        if (auto done = keep(all); !done) return failed(done.error());
    auto written = netns_.run([&]() -> Result<void> {
        for (const Setting& each : changes)
            if (auto done = write_setting(each.path, each.now); !done) return done;
        return {};
    });
    if (!written) return failed(written.error());
    return changes;
}

Result<std::vector<Setting>> HostSettings::restore() {
    auto known = kept();
    if (!known) return failed(known.error());
    std::vector<Setting> restored;
    auto done = netns_.run([&]() -> Result<void> {
        // Backwards: forwarding is off before hosts are hosts again.
        for (auto each = known->rbegin(); each != known->rend(); ++each) {
            const auto value = read_setting(each->path);
            // A device may be gone, and what somebody else set is theirs.
            if (!value || *value != each->now || is_superseded(*each)) continue;
            if (auto written = write_setting(each->path, each->before); !written) return written;
            restored.push_back({each->path, each->now, each->before});
        }
        return {};
    });
    if (!done) return failed(done.error());
    if (auto forgotten = keep({}); !forgotten) return failed(forgotten.error());
    return restored;
}

Result<std::vector<Setting>> HostSettings::kept() {
    auto rules = client_.rules(kTable, kSettings);
    if (!rules) return failed(rules.error());
    std::vector<Setting> settings;
    for (const Rule& rule : *rules)
        if (auto setting = setting_of(rule.comment)) settings.push_back(std::move(*setting));
    return settings;
}

Result<void> HostSettings::keep(std::span<const Setting> settings) {
    Batch batch(kTable);
    batch.add_chain({kSettings});
    batch.add_chain({kForward, Hook{NF_INET_FORWARD, -300}});
    batch.remove_rules(kSettings);
    batch.remove_rules(kForward);
    for (const Setting& each : settings) {
        batch.add_rule({kSettings,
                        {Verdict{NFT_RETURN}},
                        fmt::format("{} {} {}", each.path, each.before, each.now)});
        if (auto guard = guard_for(each)) batch.add_rule(*guard);
    }
    return client_.commit(std::move(batch));
}

}  // namespace cvlan::relay
