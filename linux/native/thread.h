/*
 * What a thread needs to lend its thread-local storage (and with it errno) to a child that shares our
 * memory: the register's value, and a wait that leaves that storage alone.
 */
#ifndef EMPEROR_THREAD_H
#define EMPEROR_THREAD_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The calling thread's, as CLONE_SETTLS takes it; NULL where lending is not known to work. */
static inline void *thread_pointer(void) {
  void *result = NULL;
#if defined(__x86_64__) && defined(__LP64__)
  // Its first word is its own address, says the ABI.
  __asm__("movq %%fs:0, %0" : "=r"(result));
#elif defined(__aarch64__)
  __asm__("mrs %0, tpidr_el0" : "=r"(result));
#endif
  return result;
}

/* futex(2) without errno, which may be a child's at this moment. */
static inline void raw_futex(volatile int32_t *word, int operation, int32_t value, const struct timespec *timeout) {
#if defined(__x86_64__) && defined(__LP64__)
  long result;
  register const struct timespec *timeout_register __asm__("r10") = timeout;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((long)SYS_futex), "D"(word), "S"((long)operation), "d"((long)value), "r"(timeout_register)
                   : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_futex;
  register long first __asm__("x0") = (long)word;
  register long second __asm__("x1") = operation;
  register long third __asm__("x2") = value;
  register long fourth __asm__("x3") = (long)timeout;
  __asm__ volatile("svc 0" : "+r"(first) : "r"(number), "r"(second), "r"(third), "r"(fourth) : "memory");
#else
  // Nothing is lent here.
  syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
#endif
}

#endif
