// SPDX-License-Identifier: Apache-2.0
// Port mapping at a real gateway: Debian's miniupnpd in a namespace of its own, which is NAT by
// nftables and speaks PCP, NAT-PMP and UPnP.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>

#include "reach/port_mapper.h"
#include "tests/support/netns.h"
#include "tests/support/temp_dir.h"

namespace cvlan::reach {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using tests::output_of;

const Address kGateway = *Address::parse("192.168.77.1");

// A home: this thread's namespace has an address of the gateway's network.
class Home : public tests::InOwnNetns {
protected:
    void SetUp() override {
        InOwnNetns::SetUp();
        const std::string here = fmt::format("/proc/{}/task/{}/ns/net", getpid(), gettid());
        gateway_ = run({"unshare", "--net", "sleep", "infinity"});
        const std::string there = fmt::format("/proc/{}/ns/net", gateway_);
        ASSERT_TRUE(until([&] {
            return std::filesystem::read_symlink(there) != std::filesystem::read_symlink(here);
        }));
        inside(fmt::format(
            "ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward;"
            "ip link add lan type veth peer name eth0 netns {};"
            "ip address add 192.168.77.1/24 dev lan; ip link set lan up;"
            "ip link add wan type veth peer name wanp; ip link set wanp up;"
            "ip address add 11.22.33.44/24 dev wan; ip link set wan up;"
            "nft 'table inet filter {{"
            " chain miniupnpd {{}}; chain prerouting_miniupnpd {{}}; chain postrouting_miniupnpd "
            "{{}};"
            " chain before {{ type nat hook prerouting priority -100; jump prerouting_miniupnpd; "
            "}};"
            " chain after {{ type nat hook postrouting priority 100; jump postrouting_miniupnpd; "
            "}};"
            " chain through {{ type filter hook forward priority 0; jump miniupnpd; }}; }}'",
            here));
        output_of(
            "ip address add 192.168.77.2/24 dev eth0; ip link set eth0 up;"
            "ip route add default via 192.168.77.1");
    }
    void TearDown() override {
        end(daemon_);
        end(gateway_);
    }

    void start_daemon(bool has_pcp) {
        std::ofstream(folder_.file("conf"))
            << "ext_ifname=wan\nlistening_ip=lan\nuuid=551d7b85-3024-4fd0-974a-d94b5779278e\n"
            << "enable_upnp=yes\nsecure_mode=yes\nhttp_port=5000\n"
            << "enable_natpmp=" << (has_pcp ? "yes\n" : "no\n")
            << "allow 1024-65535 192.168.77.0/24 1024-65535\n";
        daemon_ = run({"nsenter", "-t", std::to_string(gateway_), "-n", "miniupnpd", "-d", "-f",
                       folder_.file("conf"), "-P", folder_.file("pid")});
        ASSERT_TRUE(until([&] {
            return inside("ss -Hlnut").find(has_pcp ? ":5351" : ":1900") != std::string::npos;
        }));
    }
    void stop_daemon() {
        end(daemon_);
        inside(
            "nft 'flush chain inet filter prerouting_miniupnpd;"
            "flush chain inet filter miniupnpd'");
    }
    std::string inside(const std::string& command) const {
        return output_of(fmt::format("nsenter -t {} -n sh -ec \"{}\"", gateway_, escaped(command)));
    }
    std::string rules() const { return inside("nft list ruleset"); }

    void open(Workers* upnp_on = nullptr) {
        auto opened = PortMapper::open(
            loop, clock,
            {.gateway = kGateway, .port = 51820, .nonce = {1, 2, 3}, .upnp_on = upnp_on}, {});
        ASSERT_TRUE(opened) << opened.error().message;
        mapper = std::move(*opened);
    }
    template <typename Condition>
    testing::AssertionResult until(Condition is_true) {
        for (const auto end = clock.since_boot() + 60s; clock.since_boot() < end;) {
            if (is_true()) return testing::AssertionSuccess();
            loop.run_once(50ms);
        }
        return testing::AssertionFailure() << "not within a minute";
    }
    bool is_mapped() const {
        return mapper->current().external == Endpoint::parse("11.22.33.44:51820").value();
    }

    EventLoop loop;
    SystemClock clock;
    std::unique_ptr<PortMapper> mapper;

private:
    static std::string escaped(std::string command) {
        for (size_t at = 0; (at = command.find_first_of("\"$", at)) != std::string::npos; at += 2)
            command.insert(at, "\\");
        return command;
    }
    pid_t run(std::vector<std::string> words) const {
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        const std::string log = folder_.file("log");
        posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                         0600);
        posix_spawn_file_actions_adddup2(&files, 1, 2);
        pid_t pid = -1;
        EXPECT_EQ(posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ), 0);
        posix_spawn_file_actions_destroy(&files);
        return pid;
    }
    static void end(pid_t& pid) {
        if (pid <= 0) return;
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        pid = -1;
    }

    test::TempDir folder_;
    pid_t gateway_ = -1, daemon_ = -1;
};

TEST_F(Home, AGatewayMapsByPcpAndTakesItAway) {
    start_daemon(true);
    open();
    ASSERT_TRUE(until([&] { return is_mapped(); }));
    EXPECT_EQ(mapper->current().protocol, MappingProtocol::Pcp);
    EXPECT_THAT(rules(), HasSubstr("192.168.77.2:51820"));
    mapper->release();
    EXPECT_TRUE(until([&] { return rules().find("192.168.77.2:51820") == std::string::npos; }));
}

TEST_F(Home, AGatewayThatBeginsAnewIsHeardAndMapsAgain) {
    start_daemon(true);
    open();
    ASSERT_TRUE(until([&] { return is_mapped(); }));
    // It tells the seconds since it began: they must be enough to be missed.
    ASSERT_TRUE(until([&, from = clock.since_boot()] { return clock.since_boot() > from + 4s; }));
    stop_daemon();
    ASSERT_THAT(rules(), Not(HasSubstr("192.168.77.2:51820")));
    start_daemon(true);
    EXPECT_TRUE(until([&] { return rules().find("192.168.77.2:51820") != std::string::npos; }));
}

TEST_F(Home, AGatewayMapsByNatPmp) {
    start_daemon(true);
    const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage to{};
    const socklen_t size = Endpoint{kGateway, natpmp::kServerPort}.to_sockaddr(to);
    ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size), 0);
    const timeval patience{10, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    PortMapping mapping({.own = *Address::parse("192.168.77.2"), .port = 51820}, 1);
    mapping.start(0s);
    // What PCP's request would be answered with by a gateway that has NAT-PMP alone.
    mapping.received(*from_hex("0081000100000001"), 0s);
    std::vector<Bytes> packets = mapping.take_packets();
    ASSERT_EQ(packets.size(), 2u);
    packets.erase(packets.begin());  // PCP's request
    for (int i = 0; i < 2; ++i, packets = mapping.take_packets()) {
        ASSERT_EQ(packets.size(), 1u);
        std::array<uint8_t, 64> answer{};
        send(fd.get(), packets[0].data(), packets[0].size(), 0);
        const ssize_t got = recv(fd.get(), answer.data(), answer.size(), 0);
        ASSERT_GT(got, 0);
        mapping.received({answer.data(), static_cast<size_t>(got)}, 0s);
    }
    EXPECT_EQ(mapping.protocol(), MappingProtocol::NatPmp);
    EXPECT_EQ(mapping.external(), Endpoint::parse("11.22.33.44:51820").value());
    EXPECT_THAT(rules(), HasSubstr("192.168.77.2:51820"));
}

TEST_F(Home, AGatewayMapsByUpnpAndTakesItAway) {
    start_daemon(false);
    Workers workers({.name = "upnp"});
    open(&workers);
    ASSERT_TRUE(until([&] { return is_mapped(); }));
    EXPECT_EQ(mapper->current().protocol, MappingProtocol::Upnp);
    EXPECT_THAT(rules(), HasSubstr("192.168.77.2:51820"));
    mapper->release();
    EXPECT_TRUE(until([&] { return rules().find("192.168.77.2:51820") == std::string::npos; }));
}

}  // namespace
}  // namespace cvlan::reach
