// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace cvlan {

namespace {

timeval to_timeval(std::chrono::milliseconds span) {
    return {static_cast<time_t>(span.count() / 1000),
            static_cast<suseconds_t>(span.count() % 1000 * 1000)};
}

// What an event calls. Runs a copy, because the callback may destroy its own holder.
void call(evutil_socket_t, short, void* run) {
    const auto copy = *static_cast<std::function<void()>*>(run);
    copy();
}

struct Registered {
    std::function<void()> run;
    event handle{};

    Registered(event_base* base, int fd, short what, std::function<void()> then)
        : run(std::move(then)) {
        event_assign(&handle, base, fd, what, call, &run);
    }
    ~Registered() { event_del(&handle); }
    Registered(const Registered&) = delete;
    Registered& operator=(const Registered&) = delete;
};

}  // namespace

// libevent's common timeouts: a list for each length, which is in order by itself.
struct EventLoop::Queues {
    static constexpr size_t kMost = 128;  // libevent has 256
    event_base* base;
    std::unordered_map<std::chrono::milliseconds::rep, const timeval*> of{};

    void add(event& handle, std::chrono::milliseconds delay) {
        const timeval span = to_timeval(delay);
        const timeval* queue = nullptr;
        if (const auto known = of.find(delay.count()); known != of.end())
            queue = known->second;
        else if (of.size() < kMost)
            queue = of[delay.count()] = event_base_init_common_timeout(base, &span);
        event_add(&handle, queue ? queue : &span);
    }
};

struct Timer::State : Registered {
    using Registered::Registered;
    EventLoop::Queues* queues = nullptr;
};
struct Watch::State : Registered {
    using Registered::Registered;
};

Timer::Timer() = default;
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
Timer::~Timer() = default;
bool Timer::pending() const {
    return state_ && event_pending(&state_->handle, EV_TIMEOUT, nullptr) != 0;
}
void Timer::cancel() { state_.reset(); }
void Timer::restart(std::chrono::milliseconds delay) { state_->queues->add(state_->handle, delay); }

Watch::Watch() = default;
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&&) noexcept = default;
Watch::~Watch() = default;
void Watch::cancel() { state_.reset(); }

// Functions posted from other threads, and the eventfd that wakes the loop for them.
struct EventLoop::Posted {
    std::mutex mutex;
    std::vector<std::function<void()>> waiting;
    UniqueFd wake{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    event* handle = nullptr;

    void run_all() {
        uint64_t count = 0;
        if (read(wake.get(), &count, sizeof count) < 0) return;
        std::vector<std::function<void()>> taken;
        {
            const std::lock_guard lock(mutex);
            taken.swap(waiting);
        }
        for (auto& run : taken) run();
    }
};

EventLoop::EventLoop() : base_(nullptr), posted_(std::make_shared<Posted>()) {
    evthread_use_pthreads();
    std::signal(SIGPIPE, SIG_IGN);  // a client that is gone is an errno, not the end
    base_ = event_base_new();
    if (!base_ || !posted_->wake) std::abort();
    queues_ = std::make_unique<Queues>(Queues{base_});
    posted_->handle = event_new(
        base_, posted_->wake.get(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* posted) { static_cast<Posted*>(posted)->run_all(); },
        posted_.get());
    event_add(posted_->handle, nullptr);
}

EventLoop::~EventLoop() {
    event_free(posted_->handle);
    // Callbacks that libevent deferred hold their bufferevents until they ran.
    event_base_loop(base_, EVLOOP_NONBLOCK);
    event_base_free(base_);
}

Timer EventLoop::after(std::chrono::milliseconds delay, std::function<void()> run) {
    Timer timer;
    timer.state_ = std::make_unique<Timer::State>(base_, -1, 0, std::move(run));
    const timeval span = to_timeval(delay);
    event_add(&timer.state_->handle, &span);
    return timer;
}

Timer EventLoop::deadline(std::chrono::milliseconds delay, std::function<void()> run) {
    Timer timer;
    timer.state_ = std::make_unique<Timer::State>(base_, -1, 0, std::move(run));
    timer.state_->queues = queues_.get();
    timer.restart(delay);
    return timer;
}

Timer EventLoop::every(std::chrono::milliseconds period, std::function<void()> run) {
    Timer timer;
    timer.state_ = std::make_unique<Timer::State>(base_, -1, EV_PERSIST, std::move(run));
    const timeval span = to_timeval(period);
    event_add(&timer.state_->handle, &span);
    return timer;
}

Watch EventLoop::on_readable(int fd, std::function<void()> run) {
    Watch watch;
    watch.state_ = std::make_unique<Watch::State>(base_, fd, EV_READ | EV_PERSIST, std::move(run));
    event_add(&watch.state_->handle, nullptr);
    return watch;
}

Watch EventLoop::on_signal(int signal, std::function<void()> run) {
    Watch watch;
    watch.state_ =
        std::make_unique<Watch::State>(base_, signal, EV_SIGNAL | EV_PERSIST, std::move(run));
    event_add(&watch.state_->handle, nullptr);
    return watch;
}

void EventLoop::post(std::function<void()> run) {
    {
        const std::lock_guard lock(posted_->mutex);
        posted_->waiting.push_back(std::move(run));
    }
    const uint64_t one = 1;
    // EAGAIN means that the counter is full: then the loop wakes anyway.
    [[maybe_unused]] const ssize_t written = write(posted_->wake.get(), &one, sizeof one);
}

void EventLoop::run() { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); }

void EventLoop::stop() { event_base_loopbreak(base_); }

void EventLoop::run_once(std::chrono::milliseconds wait) {
    const Timer limit = after(wait, [] {});
    event_base_loop(base_, EVLOOP_ONCE);
}

}  // namespace cvlan
