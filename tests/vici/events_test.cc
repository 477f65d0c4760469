// SPDX-License-Identifier: Apache-2.0
#include "vici/events.h"

#include <gtest/gtest.h>

#include "tests/vici/misbehaviour.h"

namespace cvlan::vici {
namespace {

using namespace test;
using namespace std::chrono_literals;

struct Listener {
    EventLoop loop;
    int listening = 0;
    std::vector<std::string> heard{};
    std::vector<Error> down{};
    bool refuses = false;
    std::unique_ptr<Events> events;

    explicit Listener(const std::string& path, std::chrono::milliseconds limit = 5000ms) {
        EventHandlers handlers;
        handlers.on_listening = [this] { ++listening; };
        handlers.on_event = [this](std::string_view name, const Message& event) -> Result<void> {
            heard.push_back(fmt::format("{} {}", name, event.dump()));
            if (refuses) return fail(Code::Malformed, "no event of ours");
            return {};
        };
        handlers.on_down = [this](const Error& why) { down.push_back(why); };
        events = std::make_unique<Events>(loop, EventsOptions{{path, {}}, {"up", "down"}, limit, 1},
                                          std::move(handlers));
    }

    // Turns the loop until `holds`, for at most 10 s.
    template <class Holds>
    bool until(Holds holds) {
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        bool is_so = holds();
        while (!is_so && std::chrono::steady_clock::now() < deadline) {
            loop.run_once(20ms);
            is_so = holds();
        }
        return is_so;
    }
};

Message event_of(const std::string& value) {
    Message message;
    message.put("v", value);
    return message;
}

Bytes up(const std::string& value) { return packet(PacketType::Event, "up", event_of(value)); }

const Bytes kConfirm = packet(PacketType::EventConfirm);

// Takes both registrations, then sends this.
std::function<void(Peer&)> after_both(Bytes bytes) {
    return [bytes = std::move(bytes)](Peer& peer) {
        (void)peer.next();
        (void)peer.next();
        (void)peer.send(bytes);
    };
}

TEST(Events, AreHeardInTheirOrder) {
    FakeCharon charon(after_both(kConfirm + kConfirm + up("1") +
                                 packet(PacketType::Event, "down", event_of("2")) + up("3")));
    Listener listener(charon.path());
    ASSERT_TRUE(listener.until([&] { return listener.heard.size() == 3; }));
    EXPECT_EQ(listener.heard, (std::vector<std::string>{"up {v=1}", "down {v=2}", "up {v=3}"}));
    EXPECT_EQ(listener.listening, 1);
    EXPECT_TRUE(listener.events->is_listening());
    EXPECT_TRUE(listener.down.empty());
}

TEST(Events, BeforeAllAreConfirmedAreNotToldSinceAllIsLookedAtThen) {
    FakeCharon charon(after_both(kConfirm + up("early") + kConfirm + up("late")));
    Listener listener(charon.path());
    ASSERT_TRUE(listener.until([&] { return !listener.heard.empty(); }));
    EXPECT_EQ(listener.heard, (std::vector<std::string>{"up {v=late}"}));
}

TEST(Events, AreAllDrainedFromAFlood) {
    constexpr size_t kFlood = 5000;
    FakeCharon charon([](Peer& peer) {
        after_both(kConfirm + kConfirm)(peer);
        const Bytes one = up(std::string(100, 'x'));
        for (size_t i = 0; i < kFlood && peer.send(one); ++i) {
        }
    });
    Listener listener(charon.path());
    EXPECT_TRUE(listener.until([&] { return listener.heard.size() == kFlood; }));
}

TEST(Events, AfterAGapItIsSaidAgainThatAllHasToBeLookedAt) {
    FakeCharon charon([](Peer& peer) {
        after_both(kConfirm + kConfirm + up("1"))(peer);
        peer.hang_up();
    });
    Listener listener(charon.path());
    ASSERT_TRUE(listener.until([&] { return listener.listening == 2; }));
    ASSERT_EQ(listener.down.size(), 1u);
    EXPECT_EQ(listener.down[0].code, Code::Unavailable);
    EXPECT_TRUE(listener.events->is_listening());
}

TEST(Events, AreWaitedForWhereCharonIsNotThere) {
    cvlan::test::TempDir folder;
    Listener listener(folder.file("absent"));
    ASSERT_TRUE(listener.until([&] { return listener.down.size() == 2; }));
    EXPECT_EQ(listener.down[1].code, Code::Unavailable);
    EXPECT_FALSE(listener.events->is_listening());
}

TEST(Events, EndTheConnectionWhereTheyCanNotBe) {
    const Bytes both = kConfirm + kConfirm;
    const Misbehaviour rows[] = {
        {"hangs up at once", [](Peer& peer) { peer.hang_up(); }, Code::Unavailable},
        {"never confirms", after_both({}), Code::Unavailable, true},
        {"confirms one of two", after_both(kConfirm), Code::Unavailable, true},
        {"does not know one", after_both(kConfirm + packet(PacketType::EventUnknown)),
         Code::Unsupported},
        {"does not know one that it has confirmed",
         after_both(both + packet(PacketType::EventUnknown))},
        {"confirms thrice", after_both(both + kConfirm)},
        {"a response", after_both(packet(PacketType::CommandResponse))},
        {"a response among events", after_both(both + packet(PacketType::CommandResponse))},
        {"an event before its confirmation", after_both(up("1"))},
        {"an event that nobody wants",
         after_both(both + packet(PacketType::Event, "log", event_of("1")))},
        {"an event that is cut", after_both(both + segment("\x07\x02up\x01\x01s"))},
        {"an event without a name", after_both(both + segment("\x07"))},
        {"an empty segment", after_both(both + Bytes{0, 0, 0, 0})},
        {"a segment of 4 GiB", after_both(both + Bytes{0xff, 0xff, 0xff, 0xff})},
        {"hangs up within a segment",
         [both](Peer& peer) {
             after_both(both + Bytes{0, 0, 0, 9, 7})(peer);
             peer.hang_up();
         },
         Code::Unavailable},
    };
    for (const Misbehaviour& row : rows) {
        FakeCharon charon(row.act);
        Listener listener(charon.path(), row.is_slow ? 100ms : 5000ms);
        ASSERT_TRUE(listener.until([&] { return !listener.down.empty(); })) << row.name;
        EXPECT_EQ(listener.down[0].code, row.code) << row.name << ": " << listener.down[0].message;
        EXPECT_EQ(listener.down[0].reason == kTimedOut, row.is_slow) << row.name;
        EXPECT_TRUE(listener.heard.empty()) << row.name;
        EXPECT_FALSE(listener.events->is_listening()) << row.name;
    }
}

TEST(Events, ThatTheirListenerCanNotReadEndTheConnection) {
    FakeCharon charon(after_both(kConfirm + kConfirm + up("1") + up("2")));
    Listener listener(charon.path());
    listener.refuses = true;
    ASSERT_TRUE(listener.until([&] { return !listener.down.empty(); }));
    EXPECT_EQ(listener.down[0].code, Code::Malformed);
    EXPECT_EQ(listener.heard.size(), 1u);
}

TEST(Events, EndWithTheirOwner) {
    FakeCharon charon(after_both(kConfirm + kConfirm));
    Listener listener(charon.path());
    ASSERT_TRUE(listener.until([&] { return listener.listening == 1; }));
    listener.events.reset();
    listener.loop.run_once(10ms);
    EXPECT_TRUE(listener.down.empty());
}

}  // namespace
}  // namespace cvlan::vici
