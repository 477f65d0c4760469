// SPDX-License-Identifier: Apache-2.0
#pragma once

// Two real charons, a and b, each in a network namespace of its own, joined by a veth pair:
// 10.1.0.1 and 10.1.0.2. Each has the configuration that we ship, its own /run/cvlan, and the
// rights and the user that its unit gives it. Needs root and xfrm interfaces.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "tests/support/process.h"
#include "tests/support/shell.h"
#include "tests/support/sources.h"
#include "tests/support/temp_dir.h"
#include "vici/charon.h"
#include "vici/events.h"

namespace cvlan::vici::test {

using tests::output_of;

// A daemon, and what listens to it.
class Gateway {
public:
    Gateway(EventLoop& loop, std::string netns, std::string folder)
        : loop_(loop), netns_(std::move(netns)), folder_(std::move(folder)) {
        start();
    }
    ~Gateway() { kill_it(); }

    void start() {
        const std::string conf = folder_ + "/" + netns_ + ".conf";
        std::ifstream shipped(cvlan::test::source_file("debian/etc/charon.conf"));
        std::ofstream(conf) << shipped.rdbuf()
                            << "charon-systemd { filelog { f { path = " << folder_ << "/" << netns_
                            << ".log\n append = yes\n flush_line = yes } } }\n";
        // nobody's rights are those of the unit; strace and a debugger are not among them.
        const std::string command =
            "mkdir -p /run/cvlan && exec ip netns exec " + netns_ +
            " sh -c 'mount -t tmpfs -o mode=0777 tmpfs /run/cvlan && STRONGSWAN_CONF=" + conf +
            " exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs"
            " --inh-caps=-all,+net_admin,+net_bind_service"
            " --ambient-caps=-all,+net_admin,+net_bind_service"
            " --bounding-set=-all,+net_admin,+net_bind_service charon-systemd'";
        process_ = std::make_unique<cvlan::test::Process>(
            "/bin/sh", std::vector<std::string>{"-c", command}, 2, "/dev/null");
        at_ = {fmt::format("/proc/{}/root/run/cvlan/charon.vici", process_->pid()), 65534};
        session = std::make_unique<Session>(clock_, SessionOptions{at_, limit, 1});
        charon = std::make_unique<Charon>(*session);
        listen();
    }
    // As the unit is stopped.
    void kill_it() {
        if (!process_) return;
        process_->signal(SIGCONT);
        process_->signal(SIGKILL);
        process_->wait();
        process_.reset();
    }
    void signal(int number) { process_->signal(number); }

    std::string shell(const std::string& command) const {
        return output_of("ip netns exec " + netns_ + " " + command);
    }
    std::string swanctl(const std::string& words) const {
        return output_of("swanctl " + words + " --uri unix://" + at_.path + " 2>/dev/null");
    }
    std::string log() const { return output_of("cat " + folder_ + "/" + netns_ + ".log || true"); }
    const SocketAt& at() const { return at_; }
    size_t count(SaEventKind kind) const {
        size_t found = 0;
        for (const SaEvent& event : events) found += event.kind == kind ? 1 : 0;
        return found;
    }
    // The newest of its kind.
    const SaEvent* last(SaEventKind kind) const {
        const SaEvent* found = nullptr;
        for (const SaEvent& event : events)
            if (event.kind == kind) found = &event;
        return found;
    }

    std::unique_ptr<Session> session{};
    std::unique_ptr<Charon> charon{};
    std::vector<SaEvent> events{};
    int listening = 0;
    int down = 0;
    static constexpr std::chrono::milliseconds limit{5000};

private:
    void listen() {
        EventHandlers handlers;
        handlers.on_listening = [this] { ++listening; };
        handlers.on_down = [this](const Error&) { ++down; };
        handlers.on_event = [this](std::string_view name, const Message& event) -> Result<void> {
            auto parsed = parse_sa_event(name, event);
            EXPECT_TRUE(parsed) << parsed.error().message << " " << event.dump();
            if (!parsed) return failed(parsed.error());
            events.push_back(std::move(*parsed));
            return {};
        };
        EventsOptions options;
        options.at = at_;
        listener_ = std::make_unique<Events>(loop_, options, std::move(handlers));
    }

    EventLoop& loop_;
    std::string netns_;
    std::string folder_;
    SystemClock clock_{};
    std::unique_ptr<cvlan::test::Process> process_{};
    SocketAt at_{};
    std::unique_ptr<Events> listener_{};
};

class TwoCharons : public testing::Test {
protected:
    void SetUp() override {
        // charon reads its configuration there, and writes its log, as nobody.
        ASSERT_EQ(chmod(folder.path().c_str(), 0777), 0);
        output_of(
            "ip netns add a && ip netns add b && ip link add va netns a type veth peer name vb "
            "netns b && "
            "ip -n a addr add 10.1.0.1/24 dev va && ip -n a link set va up && "
            "ip -n a link set lo up && "
            "ip -n b addr add 10.1.0.2/24 dev vb && ip -n b link set vb up && "
            "ip -n b link set lo up");
        a = std::make_unique<Gateway>(loop, "a", folder.path());
        b = std::make_unique<Gateway>(loop, "b", folder.path());
        ASSERT_TRUE(until([&] { return a->listening == 1 && b->listening == 1; }))
            << a->log() << b->log();
    }
    void TearDown() override {
        if (HasFailure() && a && b) fmt::print("{}\n{}\n", a->log(), b->log());
        a.reset();
        b.reset();
        output_of("ip netns del a; ip netns del b");
    }

    // Turns the loop until `holds`; the emulated machine is slow.
    template <class Holds>
    bool until(Holds holds) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        bool is_so = holds();
        while (!is_so && std::chrono::steady_clock::now() < deadline) {
            loop.run_once(std::chrono::milliseconds(50));
            is_so = holds();
        }
        return is_so;
    }

    cvlan::test::TempDir folder;
    EventLoop loop;
    std::unique_ptr<Gateway> a, b;
};

}  // namespace cvlan::vici::test
