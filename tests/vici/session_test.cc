// SPDX-License-Identifier: Apache-2.0
#include "vici/session.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <future>

#include "tests/vici/misbehaviour.h"

namespace cvlan::vici {
namespace {

using namespace test;
using namespace std::chrono_literals;

struct Client {
    ManualClock clock{WallTime{}};
    Session session;
    std::vector<Message> seen{};

    explicit Client(const std::string& path, std::chrono::milliseconds limit = 5000ms)
        : session(clock, {{path, {}}, limit, 1}) {}

    Result<Message> list() {
        return session.streamed({"list-sas", "list-sa"}, {}, [this](const Message& entry) {
            seen.push_back(entry);
            return Result<void>{};
        });
    }
};

// The session is of use again: at once where it has its connection, else after its wait.
void expect_it_recovers(Client& client, const char* name) {
    if (!client.session.is_connected()) {
        const auto early = client.session.command("version");
        ASSERT_FALSE(early) << name;
        EXPECT_EQ(early.error().reason, kBackingOff) << name;
        client.clock.advance(Session::kMostWait);
    }
    const auto again = client.session.command("version");
    ASSERT_TRUE(again) << name << ": " << again.error().message;
    EXPECT_EQ(again->text("version"), "5.9.8");
}

void expect_refused(const Misbehaviour& row, bool is_list) {
    FakeCharon charon(row.act);
    Client client(charon.path(), row.is_slow ? 100ms : 5000ms);
    const auto begun = std::chrono::steady_clock::now();
    const auto answer = is_list ? client.list() : client.session.command("version");
    const auto took = std::chrono::steady_clock::now() - begun;
    ASSERT_FALSE(answer) << row.name;
    EXPECT_EQ(answer.error().code, row.code) << row.name << ": " << answer.error().message;
    EXPECT_EQ(answer.error().reason == kTimedOut, row.is_slow) << answer.error().message;
    EXPECT_LT(took, 5s) << row.name;
    EXPECT_EQ(client.session.is_connected(), row.code == Code::Unsupported) << row.name;
    if (row.is_slow) return;  // the next would have as little time
    expect_it_recovers(client, row.name);
}

TEST(Session, RefusesWhateverACommandIsAnswered) {
    for (const Misbehaviour& row : to_a_command()) expect_refused(row, false);
}

TEST(Session, RefusesWhateverAListIsAnswered) {
    for (const Misbehaviour& row : to_a_list()) expect_refused(row, true);
}

TEST(Session, KnowsSixtyWaysToMisbehave) {
    EXPECT_GE(to_a_command().size() + to_a_list().size(), 60u);
}

TEST(Session, AsksManyThingsOverOneConnection) {
    FakeCharon charon;
    Client client(charon.path());
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(client.session.command("version").value(), version_answer());
        ASSERT_TRUE(client.list());
    }
    ASSERT_EQ(client.seen.size(), 6u);
    EXPECT_EQ(client.seen[0], sa_entry("a", "1"));
    EXPECT_EQ(client.seen[5], sa_entry("b", "2"));
    EXPECT_EQ(client.session.connections(), 1u);
}

// As charon writes: the length of a segment first, and then what it is of.
TEST(Session, TakesAnswersInPiecesOfAnySize) {
    FakeCharon charon([](Peer& peer) {
        while (const auto request = peer.next()) {
            const Bytes answer = request->type == PacketType::CommandRequest
                                     ? packet(PacketType::CommandResponse, {}, version_answer())
                                     : packet(PacketType::EventConfirm);
            for (const uint8_t& byte : answer)
                if (!peer.send(ByteView(&byte, 1))) return;
        }
    });
    Client client(charon.path());
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(client.session.command("version").value(), version_answer());
        ASSERT_TRUE(client.list());
    }
    EXPECT_EQ(client.session.connections(), 1u);
}

TEST(Session, SendsItsArguments) {
    std::promise<Message> heard;
    FakeCharon charon([&](Peer& peer) {
        heard.set_value(peer.next()->message);
        (void)peer.send(packet(PacketType::CommandResponse));
    });
    Client client(charon.path());
    Message arguments;
    // More than a socket's buffer holds: it is written in pieces.
    for (int i = 0; i < 7; ++i) arguments.put(std::to_string(i), std::string(65535, 'v'));
    ASSERT_TRUE(client.session.command("load-conn", arguments));
    EXPECT_EQ(heard.get_future().get(), arguments);
}

TEST(Session, GivesUpWriting) {
    std::promise<void> over;
    FakeCharon charon([&](Peer&) { over.get_future().wait(); });
    Client client(charon.path(), 100ms);
    Message arguments;
    for (int i = 0; i < 7; ++i) arguments.put(std::to_string(i), std::string(65535, 'v'));
    const auto answer = client.session.command("load-conn", arguments);
    over.set_value();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().reason, kTimedOut) << answer.error().message;
}

TEST(Session, ARestartBetweenTwoCommandsIsAnotherConnectionAndNoError) {
    std::promise<void> gone;
    FakeCharon charon([&](Peer& peer) {
        answers_and_hangs_up(packet(PacketType::CommandResponse))(peer);
        gone.set_value();
    });
    Client client(charon.path());
    ASSERT_TRUE(client.session.command("version"));
    gone.get_future().wait();
    EXPECT_EQ(client.session.command("version").value(), version_answer());
    EXPECT_EQ(client.session.connections(), 2u);
}

TEST(Session, WhatCameUnaskedIsNoAnswer) {
    std::promise<void> answered, spoken;
    FakeCharon charon([&](Peer& peer) {
        answers(packet(PacketType::CommandResponse))(peer);
        answered.get_future().wait();
        (void)peer.send(packet(PacketType::CommandResponse));
        spoken.set_value();
    });
    Client client(charon.path());
    const auto first = client.session.command("version");
    answered.set_value();
    ASSERT_TRUE(first);
    spoken.get_future().wait();
    const auto answer = client.session.command("version");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Malformed);
    expect_it_recovers(client, "unasked");
}

TEST(Session, ARequestThatCanNotBeWrittenCostsNothing) {
    FakeCharon charon;
    Client client(charon.path());
    ASSERT_TRUE(client.session.command("version"));
    Message twice;
    twice.put("k", "1").put("k", "2");
    EXPECT_EQ(client.session.command("load-conn", twice).error().code, Code::Invalid);
    EXPECT_EQ(client.session.command("").error().code, Code::Invalid);
    EXPECT_TRUE(client.session.command("version"));
    EXPECT_EQ(client.session.connections(), 1u);
}

TEST(Session, AnErrorOfWhoTakesAListIsReturned) {
    FakeCharon charon;
    Client client(charon.path());
    const auto refuse = [](const Message&) -> Result<void> {
        return fail(Code::Conflict, "not this one");
    };
    const auto answer = client.session.streamed({"list-sas", "list-sa"}, {}, refuse);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Conflict);
    expect_it_recovers(client, "refused");
}

TEST(Session, WaitsLongerEachTimeAndNeverLongerThanFourSeconds) {
    cvlan::test::TempDir folder;
    Client client(folder.file("absent"));
    for (int i = 0; i < 8; ++i) {
        const auto absent = client.session.command("version");
        EXPECT_EQ(absent.error().code, Code::Unavailable);
        EXPECT_EQ(absent.error().reason, "");
        client.clock.advance(499ms);
        const auto early = client.session.command("version");
        EXPECT_EQ(early.error().reason, kBackingOff);
        EXPECT_NE(early.error().message.find("absent"), std::string::npos);
        client.clock.advance(Session::kMostWait - 499ms);
    }
}

TEST(Session, NobodyThereIsUnavailable) {
    cvlan::test::TempDir folder;
    std::ofstream(folder.file("file")) << "no socket";
    mkdir(folder.file("folder").c_str(), 0700);
    { const UniqueFd gone = FakeCharon::listen_at(folder.file("left")); }
    for (const char* name : {"absent", "file", "folder", "left"}) {
        Client client(folder.file(name));
        const auto answer = client.session.command("version");
        ASSERT_FALSE(answer) << name;
        EXPECT_EQ(answer.error().code, Code::Unavailable) << answer.error().message;
    }
    EXPECT_EQ(Client(std::string(200, 'x')).session.command("version").error().code, Code::Invalid);
}

TEST(Session, ACharonThatAcceptsNobodyIsNotWaitedFor) {
    cvlan::test::TempDir folder;
    const UniqueFd listener = FakeCharon::listen_at(folder.file("s"), 0);
    std::vector<std::unique_ptr<Client>> clients;
    Code last = Code::Internal;
    // The first ones wait in the kernel's queue until their time is over.
    for (int i = 0; i < 8 && last != Code::Unavailable; ++i) {
        const auto fd = connect_to({folder.file("s"), {}});
        if (fd) {
            clients.push_back(std::make_unique<Client>(folder.file("s"), 50ms));
            EXPECT_FALSE(clients.back()->session.command("version"));
            continue;
        }
        last = fd.error().code;
    }
    EXPECT_EQ(last, Code::Unavailable);
}

}  // namespace
}  // namespace cvlan::vici
