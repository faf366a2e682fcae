"""A memory network that answers questions: DeepHyper's rnn2 (P. Balaprakash et al., HiPC 2018).

The first bAbI task (J. Weston et al., 2015), in its edition of 10,000 questions: "Mary went to the garden.
John moved to the office.  Where is Mary?"  The network compares the words of the question with those of the
story (S. Sukhbaatar et al., 2015), and a recurrent layer reads what comes of it.  The objective is the
accuracy on the last tenth of the training questions, the highest of all epochs.  What differs from the
original:

- it took the accuracy on the test questions, which are left to the user here;
- the epochs, 5 to 500 there, are no parameter but the steps that a trial reports against;
- the learning rate, uniform from 1e-4 to 10 there, has a logarithmic scale, and so has the batch size;
- dropout ends at 0.9: above, next to nothing is left to train.

``python rnn2.py`` downloads the stories, 12 MB.  ``rnn2.py:stand_in`` is the same search over the same
network on 600 questions of the same kind, generated here.
"""

import os
import re
import tarfile
from functools import cache

from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from deephpo.keras import Checkpoint, Report
from deephpo.keras.data import downloaded
from deephpo.keras.tensorboard import requested

EPOCHS = 50
EMBEDDING = 64
URL = "https://s3.amazonaws.com/text-datasets/babi_tasks_1-20_v1-2.tar.gz"
TASK = "tasks_1-20_v1-2/en-10k/qa1_single-supporting-fact_train.txt"


@cache
def babi():
    """Return stories, questions and answers as numbers of words, and the number of words there are."""

    def load():
        path = keras.utils.get_file(origin=URL, fname="babi_tasks_1-20_v1-2.tar.gz")
        with tarfile.open(path) as archive:
            text = archive.extractfile(TASK).read().decode()
        return encoded(text)

    return downloaded("babi-task-1", load, URL, "babi_tasks_1-20_v1-2.tar.gz")


@cache
def small_world():
    """Return the same in small: people walk about, and after every second walk it is asked where one is."""
    rng = np.random.default_rng(0)
    people, places = ["Mary", "John", "Daniel"], ["garden", "office", "kitchen", "hallway"]
    lines = []
    for _ in range(120):
        where, number = {}, 0
        for _ in range(5):
            for _ in range(2):
                person, number = str(rng.choice(people)), number + 1
                where[person] = rng.choice(places)
                lines.append(f"{number} {person} went to the {where[person]}.")
            asked, number = str(rng.choice(list(where))), number + 1
            lines.append(f"{number} Where is {asked}? \t{where[asked]}\t{number}")
    return encoded("\n".join(lines))


def encoded(text):
    """Return the arrays of a text in the format of bAbI, where number 1 at a line's beginning begins a story.

    stories (n, longest story), questions (n, longest question), answers (n,): numbers of words, 0 before the
    first word; words (): how many numbers there are.
    """
    stories, questions, answers, story = [], [], [], []
    for line in text.splitlines():
        number, words = line.split(" ", 1)
        if number == "1":
            story = []
        if "\t" in words:
            question, answer, _ = words.split("\t")
            stories.append(list(story))
            questions.append(re.findall(r"\w+", question))
            answers.append([answer])
        else:
            story += re.findall(r"\w+", words)
    words = sorted({word for text in (*stories, *questions, *answers) for word in text})
    number_of = {word: number for number, word in enumerate(words, start=1)}

    def numbers(texts):
        return keras.utils.pad_sequences([[number_of[word] for word in text] for text in texts])

    return {
        "stories": numbers(stories),
        "questions": numbers(questions),
        "answers": numbers(answers)[:, 0],
        "words": np.array(len(words) + 1),
    }


def network(config, story_length=58, question_length=3, words=20):
    """Return the compiled network that a configuration describes, for texts of these lengths, bAbI's."""
    story, question = keras.Input((story_length,)), keras.Input((question_length,))

    def embedded(text, width):
        return keras.layers.Dropout(config["dropout"])(keras.layers.Embedding(words, width)(text))

    asked = embedded(question, EMBEDDING)
    alike = keras.layers.Dot(axes=2)([embedded(story, EMBEDDING), asked])
    match = keras.layers.Softmax()(alike)
    response = keras.layers.Add()([match, embedded(story, question_length)])
    both = keras.layers.Concatenate()([keras.layers.Permute((2, 1))(response), asked])
    recurrent = {"LSTM": keras.layers.LSTM, "GRU": keras.layers.GRU, "SimpleRNN": keras.layers.SimpleRNN}
    read = recurrent[config["rnn_type"]](config["nhidden"], activation=config["activation"])(both)
    answer = keras.layers.Dense(words, activation="softmax")(keras.layers.Dropout(config["dropout"])(read))

    model = keras.Model([story, question], answer)
    optimizer = keras.optimizers.get(config["optimizer"])
    optimizer.learning_rate = config["learning_rate"]
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(config, ctx, data):
    """Train on nine tenths, report after each epoch; return the highest accuracy on the last tenth."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(ctx.seed)
    texts, answers = [data["stories"], data["questions"]], data["answers"]
    split = len(answers) * 9 // 10
    checkpoint = Checkpoint(ctx)
    network(config, *(text.shape[1] for text in texts), int(data["words"])).fit(
        [text[:split] for text in texts],
        answers[:split],
        validation_data=([text[split:] for text in texts], answers[split:]),
        epochs=ctx.budget,
        batch_size=config["batch_size"],
        callbacks=[checkpoint, Report(ctx), *requested(ctx)],
        verbose=0,
    )
    return {"val_accuracy": max(checkpoint.history["val_accuracy"])}


def run(config, ctx):
    """Train on bAbI."""
    return train(config, ctx, babi())


def run_stand_in(config, ctx):
    """Train on the small world."""
    return train(config, ctx, small_world())


space = Space(
    [
        Categorical("rnn_type", ["LSTM", "GRU", "SimpleRNN"]),
        Integer("nhidden", 1, 100),
        Categorical("activation", ["relu", "elu", "selu", "tanh"]),
        Integer("batch_size", 8, 1024, log=True),
        Float("dropout", 0.0, 0.9),
        Categorical("optimizer", ["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam"]),
        Float("learning_rate", 1e-4, 10.0, log=True),
    ]
)
problem = Problem(space, run, "val_accuracy", "maximize", fidelity=Fidelity("epoch", EPOCHS), resumable=True)
stand_in = Problem(
    space,
    run_stand_in,
    "val_accuracy",
    "maximize",
    fidelity=Fidelity("epoch", 3),
    resumable=True,
    name="rnn2_stand_in",
)

if __name__ == "__main__":
    babi()
