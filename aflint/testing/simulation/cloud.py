"""The simulated cloud of one seed: its services, and the parts of a backend that run on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aflint import limits
from aflint.backend.base import Backend
from aflint.config import Config
from aflint.journal import folder_of, open_journal
from aflint.plan.adaptive import Skew
from aflint.plan.planner import TaskSettings
from aflint.scheduler.policy import Policy
from aflint.session import Session
from aflint.session.resources import Resources
from aflint.storage.base import Storage
from aflint.storage.s3 import S3Storage
from aflint.task import TaskDescription
from aflint.testing.simulation.bills import Bills
from aflint.testing.simulation.callers import Caller, DriverCaller
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.drivers import SimulatedDriver
from aflint.testing.simulation.faults import Fault
from aflint.testing.simulation.functions import DriversLambda, SimulatedLambda
from aflint.testing.simulation.kills import killed_drivers
from aflint.testing.simulation.objects import SimulatedObjects, SimulatedS3
from aflint.testing.simulation.queues import SimulatedQueues, SimulatedSqs
from aflint.testing.simulation.remains import Remains
from aflint.transport.base import Transport
from aflint.transport.hybrid import HybridTransport
from aflint.transport.s3 import S3Transport
from aflint.transport.sqs import SqsTransport

BUCKET = "bucket"
PREFIX = "sim"
SESSION = "sim"
FOLDER = f"s3://{BUCKET}/{PREFIX}/jobs/{SESSION}"


class SimulatedCloud:
    """SQS, S3 and a Lambda function. What kind of shuffle runs on it, and how large a message may
    be, is up to the seed, too. Where drivers are killed, messages are small: frames of two attempts
    with one number would be mixed. Batches of rows, if there are any, need messages of `batches`
    bytes.
    """

    def __init__(self, dice: Dice, config: Config, batches: int = 0) -> None:
        self.dice = dice
        self.config = config
        self.queues = SimulatedQueues(dice)
        self.objects = SimulatedObjects(dice)
        self.functions = SimulatedLambda(self, 1 + dice.pick(8, "slots"))
        killed = bool(killed_drivers(dice))
        # Only of objects can several tasks read one partition, as joins of DataFrames may have them
        often = "s3" if batches else "sqs"
        kinds = ("sqs", "hybrid", "s3", often, *[often] * killed)
        self.shuffle = kinds[dice.pick(len(kinds), "transport")]
        limited = dice.strikes(Fault.TIME_LIMIT, "function")
        sizes = (512, 512, 512) if limited or killed else (512, 2048, 256 * 1024)
        self.message_bytes = max(batches, sizes[dice.pick(3, "message")])
        self.limit_s = dice.between(150, 400, "limit") if limited else 0.0
        self.tick_s = self.limit_s * dice.between(0.04, 0.095, "tick")
        self.memory_mb = 1 if dice.strikes(Fault.SPILL, "memory") else 0
        self.secret = dice.secret()
        self.remains = Remains()
        self._drivers = itertools.count()
        self.driver = self._new_driver()

    def invoked(self, task: TaskDescription, driver: SimulatedDriver) -> None:
        """Take in that a driver has an attempt run."""
        if driver is self.driver:
            self.remains.invoked(task, self.dice)
        if driver.kill is not None:
            driver.kill.invoked(task)

    async def look_back(self, number: int, *, sure: bool) -> None:
        """Take in what a killed driver left, some of which goes now; but nothing where it is not
        `sure` that no other driver lives.
        """
        if not sure:
            self.remains.forget()
            return
        key = self.secret.key("journal", SESSION)
        place = folder_of(FOLDER, SESSION)
        _, entries = await open_journal(place, self.outside(), key, SESSION)
        self.remains.find(entries)
        await self.remains.lose_some(self, number)

    def kill_driver(self) -> None:
        """Have nothing that the driver does from now on take effect; a new one takes its place."""
        self.driver.caller.dead = True
        self.driver = self._new_driver()

    def take_for_dead(self) -> None:
        """Have a new driver take the place of one that goes on."""
        self.remains.forget()
        self.driver = self._new_driver()

    def _new_driver(self) -> SimulatedDriver:
        return SimulatedDriver(DriverCaller(self.dice, next(self._drivers)), Bills(self.config))

    def storage(self, caller: Caller) -> Storage:
        """Return storage for a caller."""
        storage = S3Storage(_NO_AWS)
        storage._s3 = SimulatedS3(self.objects, caller)
        return storage

    def transport(self, caller: Caller) -> Transport:
        """Return the shuffle transport for a caller: the real one, over simulated services."""
        sqs, s3 = SimulatedSqs(self.queues, caller), SimulatedS3(self.objects, caller)
        if self.shuffle == "sqs":
            queues = SqsTransport(_NO_AWS, PREFIX, self.message_bytes)
            queues._sqs = sqs
            return queues
        if self.shuffle == "s3":
            objects = S3Transport(_NO_AWS, BUCKET, PREFIX)
            objects._s3 = s3
            return objects
        hybrid = HybridTransport(_NO_AWS, BUCKET, PREFIX, self.message_bytes)
        hybrid._sqs, hybrid._s3 = sqs, s3
        return hybrid

    def backend(self, driver: SimulatedDriver) -> Backend:
        """Return what the session of a driver runs on."""
        transport = self.transport(driver.caller)
        dice = self.dice
        policy = Policy(
            memory_sizes_mb=(1024, 2048),
            rereadable=transport.traits.rereadable,
            skew=Skew(1, factor=0.5) if dice.roll("skew") < 0.8 else Skew(),
            speculation=dice.roll("speculation") < 0.5,
            ramp_burst=2 if dice.roll("ramp") < 0.3 else None,
            ramp_environments=2,
            seed=dice.pick(1000, "policy"),
        )
        settings = TaskSettings(
            transport=("simulated",),
            storage=FOLDER,
            memory_mb=self.memory_mb,
            max_result_bytes=256 if dice.roll("results") < 0.3 else 5_000_000,
            fetch_timeout_s=60.0,
        )
        return Backend(
            invoker=DriversLambda(self.functions, driver),
            transport=transport,
            storage=self.storage(driver.caller),
            policy=policy,
            settings=settings,
            folder=FOLDER,
            parallelism=1 + dice.pick(4, "parallelism"),
            estimated=True,
            secret=self.secret,
            runs_on_s=self.limit_s or limits.LAMBDA_TIMEOUT_S,
        )

    def outside(self) -> Storage:
        """Return storage for input and output, to which nothing happens."""
        return self.storage(self.unharmed())

    def unharmed(self) -> Caller:
        """Return a caller to whom nothing happens."""
        return _Outside(self.dice)

    def lose_kept(self, when: str) -> None:
        """Let some of what shuffles hold go, between two actions."""
        self.queues.lose_some(when)
        self.objects.lose_some(when)

    def leaks(self) -> list[str]:
        """Return what is left that nobody will remove."""
        left = [f"queue {name}" for name in self.queues.names]
        left += [f"upload {key}" for key, _ in self.objects.uploads]
        left += [f"object {key}" for key in self.objects.held if self._is_left(key)]
        if self.functions.running:
            left.append(f"{self.functions.running} attempts still run")
        return left

    def _is_left(self, key: str) -> bool:
        return not key.startswith(("in/", "out/")) and key not in self.objects.orphans


class _SimulatedResources(Resources):
    """What a simulated session has open; its driver may be killed while that is removed."""

    driver: SimulatedDriver

    async def _remove_all(self, *parts: Any) -> None:
        if self.driver.kill is not None:
            self.driver.kill.removing()
        await super()._remove_all(*parts)


class SimulatedSession(Session):
    """A session whose backend is a simulated cloud."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        super().__init__(cloud.config)
        self.id = SESSION
        self._cloud = cloud
        self._driver = cloud.driver
        self.add_listener(self._driver.bills)

    async def _open_backend(self, scratch: Path, stack: AsyncExitStack) -> Backend:
        return self._cloud.backend(self._driver)

    def _new_resources(self) -> Resources:
        resources = _SimulatedResources(
            self.config, self.id, self.name, self._listeners, self._open_backend
        )
        resources.driver = self._driver
        return resources

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Have the scheduler tell the time by a clock that may jump."""
        self._opened().scheduler._alarm.clock = clock


class _Outside(Caller):
    """Whose requests always succeed."""

    def __init__(self, dice: Dice) -> None:
        super().__init__(dice, "outside")

    def is_unavailable(self, where: str) -> bool:
        return False


class _NoAws:
    """Stands where transports keep their connection to AWS."""

    def sqs(self) -> None:
        return None

    def s3(self, counts: object = None) -> None:
        return None

    async def aclose(self) -> None:
        return None


_NO_AWS: Any = _NoAws()
