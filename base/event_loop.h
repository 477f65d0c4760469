// SPDX-License-Identifier: Apache-2.0
#pragma once

// One libevent loop on one thread. Timers and watches belong to whoever holds them and end with
// their holder; a callback may destroy its own timer or watch. post() alone may be called from
// other threads: it runs the function on the loop.

#include <chrono>
#include <functional>
#include <memory>

struct event;
struct event_base;

namespace cvlan {

class EventLoop;

class Timer {
public:
    Timer();
    Timer(Timer&&) noexcept;
    Timer& operator=(Timer&&) noexcept;
    ~Timer();
    bool pending() const;
    void cancel();
    // From now on, whether it has run or not. Of one that stands: made by deadline().
    void restart(std::chrono::milliseconds delay);

private:
    friend class EventLoop;
    struct State;
    std::unique_ptr<State> state_;
};

class Watch {
public:
    Watch();
    Watch(Watch&&) noexcept;
    Watch& operator=(Watch&&) noexcept;
    ~Watch();
    void cancel();

private:
    friend class EventLoop;
    struct State;
    std::unique_ptr<State> state_;
};

class EventLoop {
public:
    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // Runs `run` once after `delay`, or every `period` from now on.
    [[nodiscard]] Timer after(std::chrono::milliseconds delay, std::function<void()> run);
    // The same, for what each of many thousand connections has: starting, restarting and cancelling
    // cost the same for any number of them, as long as their delays are of few different lengths.
    [[nodiscard]] Timer deadline(std::chrono::milliseconds delay, std::function<void()> run);
    [[nodiscard]] Timer every(std::chrono::milliseconds period, std::function<void()> run);
    // Runs `run` whenever `fd` can be read. The descriptor stays the caller's.
    [[nodiscard]] Watch on_readable(int fd, std::function<void()> run);
    [[nodiscard]] Watch on_signal(int signal, std::function<void()> run);
    void post(std::function<void()> run);

    void run();  // until stop()
    void stop();
    // One pass over what is ready, waiting at most `wait`: for tests.
    void run_once(std::chrono::milliseconds wait);
    event_base* base() { return base_; }

private:
    friend class Timer;
    struct Posted;
    struct Queues;
    event_base* base_;
    std::unique_ptr<Queues> queues_;
    std::shared_ptr<Posted> posted_;
};

}  // namespace cvlan
