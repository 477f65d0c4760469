// SPDX-License-Identifier: Apache-2.0
#pragma once

// Two nodes on one wire, 192.0.2.1 and 192.0.2.2, each in a network namespace of its own, with an
// xfrm interface cx-a each (10.0.0.1, fd00::1 and 10.0.0.2, fd00::2) and a default route into the
// wire, so that what leaks is seen there. And a reader of all that passes the wire.

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "netlink/link.h"
#include "tests/support/netns.h"
#include "tests/support/xfrm_values.h"
#include "xfrm/client.h"

namespace cvlan::tests {

// What a shell command printed in another namespace, and its status.
struct Ran {
    std::string output;
    int status = 0;
};
inline Ran run_in(const netlink::NetnsFd& netns, const std::string& command) {
    Ran ran;
    auto done = netns.run([&]() -> Result<void> {
        FILE* pipe = popen((command + " 2>&1").c_str(), "r");
        if (pipe == nullptr) return fail(Code::Internal, "popen");
        char chunk[4096];
        for (size_t size; (size = fread(chunk, 1, sizeof chunk, pipe)) > 0;)
            ran.output.append(chunk, size);
        ran.status = pclose(pipe);
        return {};
    });
    EXPECT_TRUE(done);
    return ran;
}

inline std::string must(const netlink::NetnsFd& netns, const std::string& command) {
    const Ran ran = run_in(netns, command);
    EXPECT_EQ(ran.status, 0) << command << "\n" << ran.output;
    return ran.output;
}

// Reads every frame that passes an interface, in either direction.
class Capture {
public:
    Capture(const netlink::NetnsFd& netns, const std::string& device) {
        auto opened = netns.run([&]() -> Result<void> {
            fd_.reset(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
            sockaddr_ll at{};
            at.sll_family = AF_PACKET;
            at.sll_protocol = htons(ETH_P_ALL);
            at.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
            if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
                return failed(errno_error("bind"));
            return {};
        });
        EXPECT_TRUE(opened);
    }

    struct Seen {
        size_t frames = 0;
        size_t esp = 0;    // IP protocol 50
        size_t udp = 0;    // from or to port 4500
        size_t clear = 0;  // with the pattern that `ping` has in its packets
    };
    // What has passed since the last call.
    Seen take() {
        Seen seen;
        uint8_t frame[65536];
        for (ssize_t size; (size = recv(fd_.get(), frame, sizeof frame, 0)) > 0;)
            count({frame, static_cast<size_t>(size)}, seen);
        return seen;
    }

private:
    static void count(ByteView frame, Seen& seen) {
        ++seen.frames;
        const std::string_view text = as_text(frame);
        if (text.find("CLEARTEXT") != std::string_view::npos) ++seen.clear;
        const bool is_v4 = frame.size() > 34 && frame[12] == 0x08 && frame[13] == 0x00;
        if (!is_v4) return;
        if (frame[23] == IPPROTO_ESP) ++seen.esp;
        if (frame[23] == IPPROTO_UDP &&
            (frame[34] * 256 + frame[35] == 4500 || frame[36] * 256 + frame[37] == 4500))
            ++seen.udp;
    }
    UniqueFd fd_;
};

constexpr uint32_t kPairIfId = 0xca000001;

struct XfrmNode {
    netlink::NetnsFd netns = new_netns();
    xfrm::Client client = std::move(xfrm::Client::open(netns).value());
    netlink::Socket route = std::move(netlink::Socket::open(NETLINK_ROUTE, netns).value());
};

class XfrmPair : public testing::Test {
protected:
    void SetUp() override {
        must(a().netns,
             batch({"link add wire type veth peer name other", "link set lo up", "link set wire up",
                    "address add 192.0.2.1/24 dev wire", "route add default via 192.0.2.2"}));
        const auto other = netlink::find_link(a().route, "other");
        ASSERT_TRUE(
            netlink::change_link(a().route, other->index, {.name = "other", .netns = &b().netns}));
        must(b().netns,
             batch({"link set other name wire", "link set lo up", "link set wire up",
                    "address add 192.0.2.2/24 dev wire", "route add default via 192.0.2.1"}));
        for (int n : {1, 2}) {
            XfrmNode& node = n == 1 ? a() : b();
            add_interface(node);
            must(node.netns, batch({"link set cx-a up mtu 1400",
                                    fmt::format("address add 10.0.0.{}/32 dev cx-a", n),
                                    fmt::format("address add fd00::{}/128 dev cx-a nodad", n),
                                    fmt::format("route add 10.0.0.{}/32 dev cx-a", 3 - n),
                                    fmt::format("route add fd00::{}/128 dev cx-a", 3 - n)}));
        }
    }

    // Several of ip(8)'s in one start, which costs a tenth of a second under emulation.
    static std::string batch(std::initializer_list<std::string> commands) {
        std::string lines;
        for (const std::string& command : commands) lines.append(command).append("\n");
        return "printf '" + lines + "' | ip -batch -";
    }

    void add_interface(XfrmNode& node) {
        const auto wire = netlink::find_link(node.route, "wire");
        auto added = netlink::add_link(
            node.route, {.name = "cx-a",
                         .kind = "xfrm",
                         .alias = "cvlan:net-1",
                         .xfrm = netlink::Xfrm{.if_id = kPairIfId,
                                               .underlying = static_cast<uint32_t>(wire->index)}});
        ASSERT_TRUE(added) << added.error().message;
    }

    static xfrm::State state(int from, int to) {
        return tunnel_state(fmt::format("192.0.2.{}", from), fmt::format("192.0.2.{}", to),
                            0xc0de0000 + static_cast<uint32_t>(to), kPairIfId);
    }
    static void add_policies(XfrmNode& node, int self) {
        const std::string mine = fmt::format("192.0.2.{}", self);
        const std::string theirs = fmt::format("192.0.2.{}", 3 - self);
        for (const char* packets : {"10.0.0.0/24", "fd00::/64"}) {
            must_do(node.client.add_policy(
                tunnel_policy(xfrm::Direction::Out, mine, theirs, kPairIfId, packets)));
            must_do(node.client.add_policy(
                tunnel_policy(xfrm::Direction::In, theirs, mine, kPairIfId, packets)));
            must_do(node.client.add_policy(
                tunnel_policy(xfrm::Direction::Forward, theirs, mine, kPairIfId, packets)));
        }
    }
    static void add_states(XfrmNode& node, const std::function<void(xfrm::State&)>& change = {}) {
        for (int from : {1, 2}) {
            xfrm::State one = state(from, 3 - from);
            if (change) change(one);
            must_do(node.client.add_state(one, keys_for(one)));
        }
    }
    // A tunnel that stands.
    void connect(const std::function<void(xfrm::State&)>& change = {}) {
        for (int n : {1, 2}) {
            XfrmNode& node = n == 1 ? a() : b();
            add_policies(node, n);
            add_states(node, change);
        }
    }
    static void must_do(Result<void> done) { ASSERT_TRUE(done) << done.error().message; }

    // From a to b with a text that the wire must not show; true if an answer came.
    bool ping(const std::string& to = "10.0.0.2", int count = 1) {
        return run_in(a().netns,
                      fmt::format("ping -c {} -i 0.2 -W 1 -p 434c45415254455854 {}", count, to))
                   .status == 0;
    }

    XfrmNode& a() { return a_; }
    XfrmNode& b() { return b_; }

private:
    XfrmNode a_;
    XfrmNode b_;
};

}  // namespace cvlan::tests
